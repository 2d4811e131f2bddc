"""Batches of training nodes with sampled neighbours, as GraphSAGE trains.

Round by round, each node that was reached takes at most ``fanout`` of the edges into it, without replacement and
each set as likely as any other. A node that takes k of its d edges weighs each by d/k, with the whole graph's
degrees: sums and means over a sample are unbiased. Draws are hashed from (seed, epoch, batch, node).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator

from engine.datasets import GraphSize
from engine.errors import InputError
from engine.randomness import make_key, stream_id, uniform
from engine.sampling.entry import Batching, BatchingSpec, Sample, size_of

if TYPE_CHECKING:
    from torch import Tensor

    from engine.topology import Topology


class NeighboursSpec(BatchingSpec):
    """How many neighbours are taken, and how many nodes a batch trains."""

    name: Literal["neighbours"] = "neighbours"
    fanout: str = "10"
    """Edges that a node takes at most: one number for every layer, one a layer from the output on (25-10), or all."""
    batch_size: Annotated[int, Field(ge=1, le=100_000_000)] = 1024
    """Training nodes a batch."""

    @field_validator("fanout", mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        text = str(value)
        for part in text.split("-"):
            if part != "all" and not (part.isdecimal() and 1 <= int(part) <= 1_000_000):
                raise InputError(
                    f"neighbours cannot take the fanout {text!r}: give a number from 1 on, all, or one a layer (25-10)"
                )
        return text

    def by_round(self, rounds: int) -> list[int | None]:
        """Edges that a node takes in each round, from the batch's own nodes on; None: all. Raises InputError."""
        parts = [None if part == "all" else int(part) for part in self.fanout.split("-")]
        if len(parts) == 1:
            return parts * rounds
        if len(parts) != rounds:
            raise InputError(
                f"neighbours has a fanout for {len(parts)} layers ({self.fanout}), but the model has {rounds}: "
                "give one number, or one a layer"
            )
        return parts


def check(spec: NeighboursSpec, rounds: int) -> None:
    spec.by_round(rounds)


def expect(spec: NeighboursSpec, size: GraphSize, rounds: int) -> GraphSize:
    """As if every node trained and no two took the same neighbour: an upper estimate of the real epochs."""
    batches = max(1, -(-size.nodes // spec.batch_size))
    mean = size.edges / max(size.nodes, 1)
    reached = total = float(min(spec.batch_size, size.nodes))
    edges = 0.0
    for fanout in spec.by_round(rounds):
        reached *= mean if fanout is None else min(fanout, mean)
        edges += reached
        total += reached
    nodes = round(min(total, size.nodes)) * batches
    edges = min(edges, size.edges)
    return replace(size, nodes=nodes, edges=round(edges) * batches, batches=batches, degrees=None, parted=True)


class Neighbours:
    """A graph and its training nodes, in batches with sampled neighbours."""

    def __init__(
        self, spec: NeighboursSpec, topology: Topology, size: GraphSize, training: Tensor, rounds: int, seed: int
    ) -> None:
        self.spec, self.topology, self.whole, self.seed = spec, topology, size, seed
        self.fanouts = spec.by_round(rounds)
        self.training = training.nonzero().squeeze(1)

    def batches(self, epoch: int) -> Iterator[Sample]:
        import torch

        from engine.sampled_topology import SampledTopology

        count = self.training.numel()
        order = uniform(make_key(self.seed, stream_id("shuffling"), epoch), (count,)).argsort(stable=True)
        for number, start in enumerate(range(0, count, self.spec.batch_size)):
            roots = self.training[order[start : start + self.spec.batch_size]].sort().values
            key = make_key(self.seed, stream_id("neighbours"), (epoch << 32) + number)
            nodes, topology = SampledTopology.around(self.topology, roots, self.fanouts, key)
            yield Sample(nodes, topology, torch.searchsorted(nodes, roots))

    def size(self) -> GraphSize:
        return size_of(self.batches(1), self.whole)


ENTRIES = [
    Batching(
        name="neighbours",
        summary="training nodes in random batches, each with sampled neighbours of neighbours",
        source="Hamilton et al., GraphSAGE, NeurIPS 2017, arXiv 1706.02216",
        spec=NeighboursSpec,
        make=Neighbours,
        expect=expect,
        check=check,
    )
]
