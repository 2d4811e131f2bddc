"""What a dataset entry is: options, size, provenance and a loader (no torch needed to list it)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch_geometric.data import Data

    from engine.settings import Settings


class DatasetSpec(BaseModel):
    """A dataset and its options; each entry's own class adds fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: str


@dataclass(frozen=True)
class GraphSize:
    """What densities need to know of a graph."""

    nodes: int
    edges: int
    """Directed edges, without self-loops."""
    features: int
    classes: int
    degrees: tuple[tuple[int, int], ...] | None = None
    """(in-degree, how many nodes have it), ascending; None until the graph was loaded."""
    graphs: int = 1
    """Graphs in a batch; ``nodes`` and ``edges`` are those of all of them."""


@dataclass(frozen=True)
class Dataset:
    """A catalogue entry.

    ``load`` returns a PyG Data with x, edge_index, y and the three masks; ``size`` needs no loading.
    """

    name: str
    summary: str
    task: str
    metric: str
    licence: str
    spec: type[DatasetSpec]
    size: Callable[[Any], GraphSize]
    load: Callable[[Any, Settings], Data]
    caveat: str | None = None
    synthetic: bool = False
    needs: str = "nothing"
    """What loading needs: "nothing", or a download or mirror archive."""
