"""What an objective is (no torch needed to list it)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """A catalogue entry: loss and score are functions of (outputs, targets) of one split, in fp32."""

    name: str
    summary: str
    metric: str
    unit: str
    higher_is_better: bool
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], Tensor]
    plateau_ratio: float = 0.90
    """θ of ADQ: the ratio of training losses above which they have stopped falling (METHODS §8)."""
