"""Sums over incoming messages, by rows of a CSR matrix, with its transpose kept for the backward pass.

A row is summed in the order of its edges whatever the number of threads, so the same graph gives
the same bits. Where messages are the nodes' own rows, or those times a weight an edge, nothing of
size [edges, width] is ever made.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from engine.kernels import segments
from engine.kernels.jit import kernel
from engine.kernels.threads import split


@kernel
def _row_sums(starts, columns, x, out, first, last):
    width = x.shape[1]
    for i in range(first, last):
        for k in range(width):
            out[i, k] = 0
        p, end = starts[i], starts[i + 1]
        # Four neighbours a pass: one load and one store of the row's sum for four messages.
        while p + 4 <= end:
            a, b, c, d = columns[p], columns[p + 1], columns[p + 2], columns[p + 3]
            for k in range(width):
                out[i, k] += (x[a, k] + x[b, k]) + (x[c, k] + x[d, k])
            p += 4
        while p < end:
            j = columns[p]
            for k in range(width):
                out[i, k] += x[j, k]
            p += 1


@kernel
def _weighted_row_sums(starts, columns, edges, weights, x, out, first, last):
    heads = weights.shape[1]
    width = x.shape[1] // heads
    for i in range(first, last):
        for k in range(x.shape[1]):
            out[i, k] = 0
        for p in range(starts[i], starts[i + 1]):
            j, e = columns[p], edges[p]
            for h in range(heads):
                w = weights[e, h]
                for k in range(h * width, (h + 1) * width):
                    out[i, k] += w * x[j, k]


@kernel
def _edge_dots(starts, columns, a, b, out, first, last):
    heads = out.shape[1]
    width = a.shape[1] // heads
    whole = width - width % 4
    for i in range(first, last):
        for p in range(starts[i], starts[i + 1]):
            j = columns[p]
            for h in range(heads):
                k0 = h * width
                # Four sums side by side: an order of its own, the same for any number of threads.
                s0 = s1 = s2 = s3 = a.dtype.type(0)
                for k in range(k0, k0 + whole, 4):
                    s0 += a[i, k] * b[j, k]
                    s1 += a[i, k + 1] * b[j, k + 1]
                    s2 += a[i, k + 2] * b[j, k + 2]
                    s3 += a[i, k + 3] * b[j, k + 3]
                for k in range(k0 + whole, k0 + width):
                    s0 += a[i, k] * b[j, k]
                out[p, h] = (s0 + s1) + (s2 + s3)


@dataclass(frozen=True, eq=False)
class Csr:
    """Row starts [N + 1] and column indices [E] of an unweighted sparse matrix (int64).

    ``edges`` [E]: the number of each entry where the entries have values of their own.
    """

    starts: Tensor
    columns: Tensor
    edges: Tensor

    @property
    def rows(self) -> int:
        return self.starts.numel() - 1

    def sum_rows(self, x: Tensor) -> Tensor:
        """Sum of x's rows over each row's columns: [N, F] → [N, F]."""
        x = x.detach().contiguous()
        if x.is_cuda:
            return segments.sum_rows(self, x)
        return self._by_rows(_row_sums, x.shape[1], x, self.columns, x)

    def sum_weighted_rows(self, weights: Tensor, x: Tensor) -> Tensor:
        """Σ_e weights[e, h]·x[column of e, h, :] over each row's entries: [E, H], [N, H·C] → [N, H·C]."""
        weights, x = weights.detach().contiguous(), x.detach().contiguous()
        if x.is_cuda:
            return segments.sum_weighted_rows(self, weights, x)
        return self._by_rows(_weighted_row_sums, x.shape[1], x, self.columns, self.edges, weights, x)

    def sum_edges(self, values: Tensor) -> Tensor:
        """Sum of the edges' own values over each row: [E, F] → [N, F]."""
        values = values.detach().contiguous()
        if values.is_cuda:
            return segments.sum_entries(self, values[self.edges])
        return self._by_rows(_row_sums, values.shape[1], values, self.edges, values)

    def dot_edges(self, a: Tensor, b: Tensor, heads: int) -> Tensor:
        """a[row, h, :]·b[column, h, :] of each entry, in this matrix' order: [N, H·C] twice → [E, H]."""
        a, b = a.detach().contiguous(), b.detach().contiguous()
        if a.is_cuda:
            return segments.dot_edges(self, a, b, heads)
        out = a.new_empty(self.columns.numel(), heads)
        arrays = [tensor.numpy() for tensor in (self.starts, self.columns, a, b, out)]
        split(self.rows, self.columns.numel() * a.shape[1], lambda first, last: _edge_dots(*arrays, first, last))
        return out

    def _by_rows(self, work: Any, width: int, like: Tensor, *operands: Tensor) -> Tensor:
        out = like.new_empty(self.rows, width)
        arrays = [tensor.numpy() for tensor in (self.starts, *operands, out)]
        split(self.rows, self.columns.numel() * width, lambda first, last: work(*arrays, first, last))
        return out

    def to(self, device: str) -> Csr:
        return Csr(self.starts.to(device), self.columns.to(device), self.edges.to(device))


def csr(rows: Tensor, columns: Tensor, nodes: int, edges: Tensor | None = None) -> Csr:
    """CSR of the entries (rows[e], columns[e]), repeated entries kept, sorted by row and then column.

    ``edges``: the entries' numbers; without it they are numbered as they come out.
    """
    order = torch.argsort(rows * nodes + columns, stable=True)
    starts = torch.zeros(nodes + 1, dtype=torch.int64, device=rows.device)
    starts[1:] = torch.cumsum(torch.bincount(rows, minlength=nodes), 0)
    numbers = torch.arange(rows.numel(), device=rows.device) if edges is None else edges[order]
    return Csr(starts, columns[order].contiguous(), numbers)


@dataclass(frozen=True, eq=False)
class Adjacency:
    """A graph's edges, both ways, and the degrees for symmetric normalization.

    ``incoming``: row i lists the sources of the edges into i, and numbers the edges; ``outgoing`` is its
    transpose, with the same numbers; ``inverse_sqrt_degree`` [N, 1] is d_i^(−1/2), d_i the in-degree with the
    self-loop (0 where nothing comes in).
    """

    incoming: Csr
    outgoing: Csr
    inverse_sqrt_degree: Tensor

    @property
    def nodes(self) -> int:
        return self.incoming.rows

    @property
    def sources(self) -> Tensor:
        """The source of each edge, int64 [E], in the order of ``incoming``."""
        return self.incoming.columns

    @cached_property
    def targets(self) -> Tensor:
        """The target of each edge, int64 [E], ascending."""
        return segments.row_of_entry(self.incoming)

    @cached_property
    def inverse_degree(self) -> Tensor:
        """1/d_i [N, 1], and 1 where nothing comes in (a mean over nothing is 0)."""
        counts = self.incoming.starts[1:] - self.incoming.starts[:-1]
        return counts.clamp(min=1).to(torch.float32).reciprocal().unsqueeze(1)

    @cached_property
    def edge_norm(self) -> Tensor:
        """d_i^(−1/2)·d_j^(−1/2) of each edge j→i, [E, 1]."""
        scale = self.inverse_sqrt_degree
        return scale[self.sources] * scale[self.targets]

    def to(self, device: str) -> Adjacency:
        return Adjacency(self.incoming.to(device), self.outgoing.to(device), self.inverse_sqrt_degree.to(device))

    @classmethod
    def from_edges(cls, edge_index: Tensor, nodes: int, *, loops: bool = True) -> Adjacency:
        """From edge_index [2, E] (source, target). Repeated edges count each time, as in PyG.

        ``loops``: every node gets one self-loop, its own ones are replaced (GCNConv, GATConv, AGNNConv);
        without it the edges stay as they are.
        """
        source, target = edge_index
        if loops:
            keep = source != target
            own = torch.arange(nodes, device=edge_index.device)
            source, target = torch.cat([source[keep], own]), torch.cat([target[keep], own])
        incoming = csr(target, source, nodes)
        degree = incoming.starts[1:] - incoming.starts[:-1]
        outgoing = csr(incoming.columns, segments.row_of_entry(incoming), nodes, incoming.edges)
        scale = degree.to(torch.float32).pow(-0.5).masked_fill(degree == 0, 0).unsqueeze(1)
        return cls(incoming, outgoing, scale)


class _Aggregate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.adjacency = adjacency
        return adjacency.incoming.sum_rows(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.adjacency.outgoing.sum_rows(gradient), None


def aggregate(message: Tensor, adjacency: Adjacency) -> Tensor:
    """Plain sum of the messages that come into each node, its own included: [N, F] → [N, F]."""
    return _Aggregate.apply(message, adjacency)


class _WeightedAggregate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weights: Tensor, x: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.adjacency = adjacency
        ctx.save_for_backward(weights, x)
        return adjacency.incoming.sum_weighted_rows(weights, x)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        weights, x = ctx.saved_tensors
        adjacency, by_weight, by_x = ctx.adjacency, None, None
        if ctx.needs_input_grad[0]:
            by_weight = adjacency.incoming.dot_edges(gradient, x, weights.shape[1])
        if ctx.needs_input_grad[1]:
            by_x = adjacency.outgoing.sum_weighted_rows(weights, gradient)
        return by_weight, by_x, None


def weighted_aggregate(weights: Tensor, x: Tensor, adjacency: Adjacency) -> Tensor:
    """y[i, h] = Σ over edges e: j→i of weights[e, h]·x[j, h], head by head: [E, H], [N, H·C] → [N, H·C]."""
    return _WeightedAggregate.apply(weights, x, adjacency)
