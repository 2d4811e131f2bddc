"""A graph's structure as the layers and the schemes see it: both adjacencies, in-degrees, degree ranks.

Everything is derived from the edges on first use and kept, so that a full-batch run pays once.
"""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from engine.kernels.aggregate import Adjacency


class Topology:
    """edge_index [2, E] (source, target) of ``nodes`` nodes; ``graph`` [N]: each node's graph in a batch.

    Raises ValueError where an edge names a node that there is not.
    """

    def __init__(self, edge_index: Tensor, nodes: int, graph: Tensor | None = None) -> None:
        self.edge_index, self.nodes, self.graph = edge_index, nodes, graph

    @cached_property
    def looped(self) -> Adjacency:
        """With exactly one self-loop a node, its own ones replaced (GCN, GAT, AGNN)."""
        return self.plain.with_loops()

    @cached_property
    def plain(self) -> Adjacency:
        """The edges as they are (GraphSAGE, GIN)."""
        return Adjacency.from_edges(self.edge_index, self.nodes, loops=False)

    @cached_property
    def in_degree(self) -> Tensor:
        """How many of the given edges come into each node, int64 [N]."""
        return torch.bincount(self.edge_index[1], minlength=self.nodes)

    @cached_property
    def degree_rank(self) -> Tensor:
        """F(i) = share of the nodes, of i's own graph in a batch, whose in-degree is ≤ d_i; float32 [N] [DQ].

        The empirical distribution function: nodes of equal degree share their rank.
        """
        if self.graph is None:
            counts = torch.bincount(self.in_degree).cumsum(0)
            return (counts.double() / self.nodes)[self.in_degree].float()
        # Sorted by (graph, degree), a node's rank is the place of the last of its equals within its graph.
        span = int(self.in_degree.max()) + 1 if self.nodes else 1
        key = self.graph * span + self.in_degree
        at_most = torch.searchsorted(key.sort().values, key, right=True)
        sizes = torch.bincount(self.graph)
        before = (sizes.cumsum(0) - sizes)[self.graph]
        return ((at_most - before).double() / sizes[self.graph]).float()

    @cached_property
    def degree_counts(self) -> tuple[tuple[int, int], ...]:
        """(in-degree, how many nodes have it), ascending."""
        counts = torch.bincount(self.in_degree).tolist()
        return tuple((degree, count) for degree, count in enumerate(counts) if count)

    def buckets(self, splits: tuple[int, ...]) -> Tensor:
        """The degree bucket of each node: how many of the ascending split points are ≤ its in-degree; int64 [N]."""
        points = torch.tensor(splits, dtype=torch.int64, device=self.edge_index.device)
        return torch.bucketize(self.in_degree, points, right=True)

    def to(self, device: torch.device | str) -> Topology:
        """On another device, with what was derived so far; itself where it lies there."""
        if self.edge_index.device == torch.device(device):
            return self
        moved = Topology(self.edge_index.to(device), self.nodes, None if self.graph is None else self.graph.to(device))
        for name in ("looped", "plain"):
            if name in self.__dict__:
                moved.__dict__[name] = self.__dict__[name].to(str(device))
        return moved
