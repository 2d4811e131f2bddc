"""The sum over incoming messages, by rows of a CSR matrix, with its transpose kept for the backward pass.

A row is summed in the order of its edges whatever the number of threads, so the same graph gives
the same bits. Nothing of size [edges, width] is ever made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import torch
from torch import Tensor


@numba.njit(cache=True, nogil=True)
def _row_sums(starts, columns, x, out):
    width = x.shape[1]
    for i in range(starts.size - 1):
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


@dataclass(frozen=True)
class Csr:
    """Row starts [N + 1] and column indices [E] of an unweighted sparse matrix (int64)."""

    starts: Tensor
    columns: Tensor

    def sum_rows(self, x: Tensor) -> Tensor:
        """Sum of x's rows over each row's columns: [N, F] → [N, F]."""
        x = x.detach().contiguous()
        if x.is_cuda:
            ones = torch.ones(self.columns.numel(), device=x.device, dtype=x.dtype)
            matrix = torch.sparse_csr_tensor(self.starts, self.columns, ones, (self.starts.numel() - 1, x.shape[0]))
            return matrix @ x
        out = torch.empty(self.starts.numel() - 1, x.shape[1])
        _row_sums(self.starts.numpy(), self.columns.numpy(), x.numpy(), out.numpy())
        return out

    def to(self, device: str) -> Csr:
        return Csr(self.starts.to(device), self.columns.to(device))


def csr(rows: Tensor, columns: Tensor, nodes: int) -> Csr:
    """CSR of the entries (rows[e], columns[e]), repeated entries kept, sorted by row and then column."""
    order = torch.argsort(rows * nodes + columns, stable=True)
    starts = torch.zeros(nodes + 1, dtype=torch.int64)
    torch.cumsum(torch.bincount(rows, minlength=nodes), 0, out=starts[1:])
    return Csr(starts, columns[order].contiguous())


@dataclass(frozen=True)
class Adjacency:
    """A graph's edges, both ways, and the degrees for symmetric normalization.

    ``incoming``: row i lists the sources of the edges into i; ``outgoing`` is its transpose;
    ``inverse_sqrt_degree`` [N, 1] is d_i^(−1/2), d_i the in-degree with the self-loop (0 where nothing comes in).
    """

    incoming: Csr
    outgoing: Csr
    inverse_sqrt_degree: Tensor

    @property
    def nodes(self) -> int:
        return self.incoming.starts.numel() - 1

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
        degree = (incoming.starts[1:] - incoming.starts[:-1]).to(torch.float32)
        scale = degree.pow(-0.5).masked_fill(degree == 0, 0).unsqueeze(1)
        return cls(incoming, csr(source, target, nodes), scale)


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
