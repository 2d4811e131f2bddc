"""Batches of whole clusters: parts of densely linked nodes, a few of them, drawn anew each epoch, a batch.

The parts come from linear deterministic greedy streaming (Stanton & Kliot, KDD 2012) with restreaming (Nishimura &
Ugander, KDD 2013), without METIS. As in Cluster-GCN, the edges between a batch's nodes are kept, also those between
its parts. A node that keeps k of its d incoming edges weighs each by d/k, with the whole graph's degrees, so that its
sum stands for the whole one; over an epoch every node is in one batch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from engine.datasets import GraphSize
from engine.errors import InputError, RunError
from engine.randomness import make_key, stream_id, uniform
from engine.sampling.entry import Batching, BatchingSpec, Sample, size_of

if TYPE_CHECKING:
    from torch import Tensor

    from engine.topology import Topology


class ClustersSpec(BatchingSpec):
    """How many parts there are, and how many a batch takes."""

    name: Literal["clusters"] = "clusters"
    parts: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """Parts of the graph, of nearly equal size."""
    per_batch: Annotated[int, Field(ge=1)] = 5
    """Parts in a batch; which ones is drawn anew each epoch."""
    passes: Annotated[int, Field(ge=1, le=100)] = 5
    """How often the nodes are streamed: each pass cuts fewer edges."""

    @model_validator(mode="after")
    def _fits(self) -> ClustersSpec:
        if self.per_batch > self.parts:
            raise InputError(
                f"clusters takes {self.per_batch} parts a batch of only {self.parts}: per_batch must be at most parts"
            )
        return self


def batches_of(spec: ClustersSpec) -> int:
    return -(-spec.parts // spec.per_batch)


def expect(spec: ClustersSpec, size: GraphSize, rounds: int) -> GraphSize:
    """Every node once; how many edges the parts cut is known only with the graph, so all are counted."""
    return replace(size, batches=batches_of(spec), parted=True)


class Clusters:
    """A graph's parts, made once, and their batches."""

    def __init__(
        self, spec: ClustersSpec, topology: Topology, size: GraphSize, training: Tensor, rounds: int, seed: int
    ) -> None:
        from engine.kernels.partition import partition

        if spec.parts > size.nodes:
            raise RunError(f"{spec.parts} clusters are more than the graph's {size.nodes} nodes: take fewer parts")
        self.spec, self.topology, self.whole, self.training, self.seed = spec, topology, size, training, seed
        key = make_key(seed, stream_id("clusters"), 0)
        self.part = partition(topology.plain.incoming, topology.plain.outgoing, spec.parts, key, passes=spec.passes)

    def _members(self, epoch: int) -> Iterator[Tensor]:
        """The nodes of each batch, ascending."""
        import torch

        order = uniform(make_key(self.seed, stream_id("clusters"), epoch), (self.spec.parts,)).argsort(stable=True)
        batch = torch.empty(self.spec.parts, dtype=torch.int64)
        batch[order] = torch.arange(self.spec.parts) // self.spec.per_batch
        of_node = batch[self.part]
        nodes = of_node.argsort(stable=True)
        yield from nodes.split(torch.bincount(of_node, minlength=batches_of(self.spec)).tolist())

    def batches(self, epoch: int) -> Iterator[Sample]:
        from engine.sampled_topology import SampledTopology

        for nodes in self._members(epoch):
            select = self.training[nodes].nonzero().squeeze(1)
            if select.numel():
                yield Sample(nodes, SampledTopology.induced(self.topology, nodes), select)

    def size(self) -> GraphSize:
        return size_of(self.batches(1), self.whole)


ENTRIES = [
    Batching(
        name="clusters",
        summary="parts of densely linked nodes, some of them a batch, every node once an epoch",
        source="Chiang et al., Cluster-GCN, KDD 2019, arXiv 1905.07953; parts by Stanton & Kliot, KDD 2012",
        spec=ClustersSpec,
        make=Clusters,
        expect=expect,
    )
]
