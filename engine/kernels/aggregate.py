"""Sums over incoming messages, with the transpose kept for the backward pass.

A row is summed in the order of its edges whatever the number of threads, so the same graph gives
the same bits. Where messages are the nodes' own rows, or those times a weight an edge, nothing of
size [edges, width] is ever made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from engine.kernels import segments
from engine.kernels.csr import Csr, csr


@dataclass(frozen=True, eq=False)
class Adjacency:
    """A graph's edges, both ways, and the degrees for symmetric normalization.

    ``incoming``: row i lists the sources of the edges into i, and numbers the edges; ``outgoing`` is its
    transpose, with the same numbers (an undirected graph's two share their memory); ``inverse_sqrt_degree`` [N, 1]
    is d_i^(−1/2), d_i the in-degree with the self-loop (0 where nothing comes in).

    In a batch that holds k_i of the d_i edges into a node, ``weights`` [E, 1] is d_i/k_i of each edge (1 of a
    self-loop), so that a sum over the batch stands for the whole graph's; ``inverse_degree`` [N, 1] and
    ``inverse_sqrt_degree`` are then the whole graph's.
    """

    incoming: Csr
    outgoing: Csr
    inverse_sqrt_degree: Tensor
    inverse_degree: Tensor
    """1/d_i [N, 1], and 1 where nothing comes in (a mean over nothing is 0)."""
    weights: Tensor | None = None

    @property
    def nodes(self) -> int:
        return self.incoming.rows

    @property
    def sources(self) -> Tensor:
        """The source of each edge, int32 [E], in the order of ``incoming``."""
        return self.incoming.columns

    @cached_property
    def targets(self) -> Tensor:
        """The target of each edge, int64 [E], ascending."""
        return segments.row_of_entry(self.incoming)

    @cached_property
    def edge_norm(self) -> Tensor:
        """d_i^(−1/2)·d_j^(−1/2) of each edge j→i, times its weight, [E, 1]."""
        scale = self.inverse_sqrt_degree
        norm = scale[self.sources] * scale[self.targets]
        return norm if self.weights is None else norm * self.weights

    def to(self, device: str) -> Adjacency:
        incoming = self.incoming.to(device)
        outgoing = self.outgoing.to(device, incoming)
        scales = self.inverse_sqrt_degree.to(device), self.inverse_degree.to(device)
        return Adjacency(incoming, outgoing, *scales, None if self.weights is None else self.weights.to(device))

    @classmethod
    def from_edges(cls, edge_index: Tensor, nodes: int, *, loops: bool = True) -> Adjacency:
        """From edge_index [2, E] (source, target). Repeated edges count each time, as in PyG.

        ``loops``: every node gets one self-loop, its own ones are replaced (GCNConv, GATConv, AGNNConv);
        without it the edges stay as they are. Raises ValueError where an edge names a node that there is not.
        """
        source, target = edge_index
        plain = csr(target, source, nodes)
        return cls.of(plain.with_loops() if loops else plain)

    @classmethod
    def of(cls, incoming: Csr, outgoing: Csr | None = None) -> Adjacency:
        """Of the edges into each node; ``outgoing``: their transpose, where it is known."""
        degree = incoming.degrees
        sqrt = degree.to(torch.float32).pow(-0.5).masked_fill(degree == 0, 0).unsqueeze(1)
        inverse = degree.clamp(min=1).to(torch.float32).reciprocal().unsqueeze(1)
        return cls(incoming, incoming.transpose() if outgoing is None else outgoing, sqrt, inverse)

    def with_loops(self) -> Adjacency:
        """The same edges with exactly one self-loop a node."""
        looped = self.incoming.with_loops()
        shared = self.outgoing.columns is self.incoming.columns
        return Adjacency.of(looped, Csr(looped.starts, looped.columns, looped) if shared else None)


class _Aggregate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.adjacency = adjacency
        return adjacency.incoming.sum_rows(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.adjacency.outgoing.sum_rows(gradient), None


def aggregate(message: Tensor, adjacency: Adjacency) -> Tensor:
    """Sum of the messages that come into each node, by their edges' weights in a batch: [N, F] → [N, F]."""
    if adjacency.weights is not None:
        return weighted_aggregate(adjacency.weights.to(message.dtype), message, adjacency)
    return _Aggregate.apply(message, adjacency)


class _WeightedAggregate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weights: Tensor, x: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.adjacency = adjacency
        # Each is read by the other's gradient alone.
        by_weight, by_x, _ = ctx.needs_input_grad
        ctx.save_for_backward(weights if by_x else None, x if by_weight else None)
        ctx.heads = weights.shape[1]
        return adjacency.incoming.sum_weighted_rows(weights, x)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        weights, x = ctx.saved_tensors
        adjacency, by_weight, by_x = ctx.adjacency, None, None
        if ctx.needs_input_grad[0]:
            by_weight = adjacency.incoming.dot_edges(gradient, x, ctx.heads)
        if ctx.needs_input_grad[1]:
            by_x = adjacency.outgoing.sum_weighted_rows(weights, gradient)
        return by_weight, by_x, None


def weighted_aggregate(weights: Tensor, x: Tensor, adjacency: Adjacency) -> Tensor:
    """y[i, h] = Σ over edges e: j→i of weights[e, h]·x[j, h], head by head: [E, H], [N, H·C] → [N, H·C]."""
    return _WeightedAggregate.apply(weights, x, adjacency)
