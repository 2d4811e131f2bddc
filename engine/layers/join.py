"""How a layer joins its messages, told apart from doing it: for whoever follows its integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from engine.kernels.aggregate import Adjacency


@dataclass(frozen=True)
class Join:
    """a_i = factor_i · (sum or greatest of the messages of the edges into i)."""

    adjacency: Adjacency
    by_edge: bool = False
    """Whether a message is a row an edge, in ``adjacency``'s order; else a row a node."""
    how: Literal["sum", "max"] = "sum"
    factor: Tensor | None = None
    """float32 [N, 1]; None: 1."""
