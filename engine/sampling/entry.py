"""What a way of batching is: options, a sampler on loaded data, and the size of its epochs told beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from torch import Tensor

    from engine.datasets import GraphSize
    from engine.topology import Topology


class BatchingSpec(BaseModel):
    """A way of batching and its options; each entry's own class adds fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: str


@dataclass(frozen=True)
class Sample:
    """Nodes of the whole graph and the edges between them that a batch holds."""

    nodes: Tensor
    """Their numbers in the whole graph, int64 [n], ascending."""
    topology: Topology
    """Of n nodes, in that order; degrees and normalization are the whole graph's."""
    select: Tensor
    """The places in ``nodes`` whose outputs carry the loss, int64, ascending."""


class Sampler(Protocol):
    """A way of batching on one graph."""

    def batches(self, epoch: int) -> Iterator[Sample]:
        """The samples of an epoch (from 1), a function of (seed, epoch) alone; those without a loss are left out."""
        ...

    def size(self) -> GraphSize:
        """What the first epoch trains on: nodes and edges over its batches."""
        ...


def size_of(samples: Iterable[Sample], whole: GraphSize) -> GraphSize:
    """What an epoch of these samples of a graph trains on."""
    import torch

    nodes = edges = count = 0
    counts = torch.zeros(1 + max((degree for degree, _ in whole.degrees or ()), default=0), dtype=torch.int64)
    for sample in samples:
        nodes += sample.nodes.numel()
        edges += sample.topology.plain.incoming.columns.numel()
        counts += torch.bincount(sample.topology.in_degree, minlength=counts.numel())
        count += 1
    degrees = tuple((degree, number) for degree, number in enumerate(counts.tolist()) if number)
    return replace(whole, nodes=nodes, edges=edges, batches=count, degrees=degrees, parted=True)


@dataclass(frozen=True)
class Batching:
    """A catalogue entry.

    ``make`` takes the options, the whole graph's topology and size, the training nodes [N] bool, the number of
    rounds of messages and the run's seed; None: the whole graph is every step's batch. ``expect`` tells an epoch's
    size from the options, the graph's size and the number of rounds. ``check`` raises InputError for a number of
    rounds that does not fit.
    """

    name: str
    summary: str
    source: str
    spec: type[BatchingSpec]
    make: Callable[[Any, Topology, GraphSize, Tensor, int, int], Sampler] | None
    expect: Callable[[Any, GraphSize, int], GraphSize]
    check: Callable[[Any, int], None] = lambda spec, rounds: None
