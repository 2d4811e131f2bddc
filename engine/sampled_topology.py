"""A part of a graph as a batch sees it: some nodes and edges, with the degrees of the whole graph.

A node that keeps k of its d incoming edges weighs each by d/k, so that sums, means and GCN's normalized sums over
the kept edges stand for those over all of them: unbiased where each set of k edges is as likely as any other. The
greatest neighbour and the softmax of attention are those of the kept edges.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from engine.kernels import segments
from engine.kernels.aggregate import Adjacency
from engine.kernels.csr import Csr
from engine.kernels.subgraph import sample_around, take_inside
from engine.randomness import Key
from engine.topology import Topology


class SampledTopology(Topology):
    """``nodes`` [n] (ascending) of ``whole``, and the edges ``incoming`` between them, numbered by their places."""

    def __init__(self, whole: Topology, nodes: Tensor, incoming: Csr) -> None:
        self.whole, self.kept, self.incoming = whole, nodes, incoming
        self.nodes, self.graph = nodes.numel(), None

    @classmethod
    def induced(cls, whole: Topology, nodes: Tensor) -> SampledTopology:
        """With every edge between the nodes."""
        return cls(whole, nodes, take_inside(whole.plain.incoming, nodes))

    @classmethod
    def around(
        cls, whole: Topology, roots: Tensor, fanouts: Sequence[int | None], key: Key
    ) -> tuple[Tensor, SampledTopology]:
        """The sampled neighbourhood of ``roots`` (ascending): its nodes, and its structure."""
        nodes, incoming = sample_around(whole.plain.incoming, roots, fanouts, key)
        return nodes, cls(whole, nodes, incoming)

    @cached_property
    def edge_index(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return torch.stack([self.incoming.columns.long(), segments.row_of_entry(self.incoming)])

    @cached_property
    def in_degree(self) -> Tensor:
        """The whole graph's, int64 [n]."""
        return self.whole.in_degree[self.kept]

    @cached_property
    def degree_rank(self) -> Tensor:
        """The whole graph's, float32 [n]."""
        return self.whole.degree_rank[self.kept]

    @cached_property
    def _ratio(self) -> Tensor | None:
        """d/k of each node, float32 [n]; None where every edge that is kept weighs 1."""
        kept, all_of_them = self.incoming.degrees, self.whole.plain.incoming.degrees[self.kept]
        if bool(((kept == all_of_them) | (kept == 0)).all()):
            return None
        return (all_of_them.double() / kept.clamp(min=1)).where(kept > 0, 1.0).float()

    @cached_property
    def plain(self) -> Adjacency:
        return self._adjacency(self.incoming, self.whole.plain, loops=False)

    @cached_property
    def looped(self) -> Adjacency:
        return self._adjacency(self.incoming.with_loops(), self.whole.looped, loops=True)

    def _adjacency(self, incoming: Csr, whole: Adjacency, *, loops: bool) -> Adjacency:
        weights = None
        if self._ratio is not None:
            rows = segments.row_of_entry(incoming)
            weights = self._ratio[rows]
            if loops:
                weights.masked_fill_(incoming.columns == rows, 1.0)
            weights = weights.unsqueeze(1)
        degrees = whole.inverse_sqrt_degree[self.kept], whole.inverse_degree[self.kept]
        return Adjacency(incoming, incoming.transpose(), *degrees, weights)

    def to(self, device: torch.device | str) -> Topology:
        if torch.device(device).type == "cpu":
            return self
        moved = copy.copy(self)
        moved.__dict__.update(
            plain=self.plain.to(str(device)),
            looped=self.looped.to(str(device)),
            in_degree=self.in_degree.to(device),
            degree_rank=self.degree_rank.to(device),
            edge_index=self.edge_index.to(device),
        )
        return moved
