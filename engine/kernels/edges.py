"""Tensors with a row an edge: gathered from the nodes, summed into them, and dot products along edges.

Edges are numbered as in ``Adjacency.incoming``. Every backward pass is a sum by rows of the matrix or
of its transpose, in the order of the edges, never a scatter: the same bits for any number of threads.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.kernels.aggregate import Adjacency


class _GatherSources(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.adjacency = adjacency
        return x.index_select(0, adjacency.sources)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.adjacency.outgoing.sum_edges(gradient), None


class _GatherTargets(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.adjacency = adjacency
        return x.index_select(0, adjacency.targets)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.adjacency.incoming.sum_edges(gradient), None


class _SumEdges(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.adjacency = adjacency
        return adjacency.incoming.sum_edges(values)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient.index_select(0, ctx.adjacency.targets), None


class _DotEdges(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.adjacency = adjacency
        ctx.save_for_backward(x)
        return adjacency.incoming.dot_edges(x, x, 1)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,), adjacency = ctx.saved_tensors, ctx.adjacency
        # A node is the target of some edges and the source of others.
        into = adjacency.incoming.sum_weighted_rows(gradient, x)
        return into + adjacency.outgoing.sum_weighted_rows(gradient, x), None


def gather_sources(x: Tensor, adjacency: Adjacency) -> Tensor:
    """The row of each edge's source: [N, F] → [E, F]."""
    return _GatherSources.apply(x, adjacency)


def gather_targets(x: Tensor, adjacency: Adjacency) -> Tensor:
    """The row of each edge's target: [N, F] → [E, F]."""
    return _GatherTargets.apply(x, adjacency)


def sum_edges(values: Tensor, adjacency: Adjacency) -> Tensor:
    """The sum of the values of the edges into each node: [E, F] → [N, F]."""
    return _SumEdges.apply(values, adjacency)


def dot_edges(x: Tensor, adjacency: Adjacency) -> Tensor:
    """x_i·x_j of each edge j→i: [N, F] → [E, 1]."""
    return _DotEdges.apply(x, adjacency)
