"""Sparse matrices of a graph's edges, by rows, built by counting in time and memory proportional to the edges.

Column indices are int32 (a graph of 114.6 million edges takes 0.46 GB a direction), entries are numbered only
where somebody asks, and nothing of 8 bytes an edge is made on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.kernels import segments
from engine.kernels.edge_vectors import dot, sum_heads
from engine.kernels.jit import kernel
from engine.kernels.row_vectors import sum_row
from engine.kernels.threads import split


@kernel
def _row_sums(starts, columns, x, out, first, last):
    width = x.shape[1]
    flat, sums = x.reshape(x.size), out.reshape(out.size)
    for i in range(first, last):
        sum_row(None, flat, width, columns, starts[i], starts[i + 1], sums, i * width)


@kernel
def _weighted_row_sums(starts, columns, edges, weights, x, out, first, last):
    heads, across = weights.shape[1], x.shape[1]
    factors, flat, sums = weights.reshape(weights.size), x.reshape(x.size), out.reshape(out.size)
    for i in range(first, last):
        sum_heads(factors, heads, flat, across, columns, edges, starts[i], starts[i + 1], sums, i * across)


@kernel
def _edge_dots(starts, columns, a, b, out, first, last):
    heads, across = out.shape[1], a.shape[1]
    width = across // heads
    left, right = a.reshape(a.size), b.reshape(b.size)
    for i in range(first, last):
        for p in range(starts[i], starts[i + 1]):
            j = np.int64(columns[p])
            for h in range(heads):
                # Four sums side by side: an order of its own, the same for any number of threads.
                out[p, h] = dot(left, i * across + h * width, right, j * across + h * width, width)


@kernel
def _count_rows(rows, columns, starts):
    """starts[i + 1] = entries up to row i; whether (row, column) ascends; −1 where an index is out of range."""
    nodes = starts.size - 1
    ascends = 1
    last_row, last_column = -1, -1
    for e in range(rows.size):
        i, j = rows[e], columns[e]
        if i < 0 or i >= nodes or j < 0 or j >= nodes:
            return -1
        starts[i + 1] += 1
        if i < last_row or (i == last_row and j < last_column):
            ascends = 0
        last_row, last_column = i, j
    for i in range(nodes):
        starts[i + 1] += starts[i]
    return ascends


@kernel
def _place_entries(rows, columns, slots, out):
    """Each entry's column, in the order of the entries, into its row; ``slots``: each row's next place."""
    for e in range(rows.size):
        i = rows[e]
        out[slots[i]] = columns[e]
        slots[i] += 1


@kernel
def _transpose(starts, columns, slots, out):
    for i in range(starts.size - 1):
        for p in range(starts[i], starts[i + 1]):
            j = columns[p]
            out[slots[j]] = i
            slots[j] += 1


@kernel
def _number_transposed(starts, columns, slots, out):
    for i in range(starts.size - 1):
        for p in range(starts[i], starts[i + 1]):
            j = columns[p]
            out[slots[j]] = p
            slots[j] += 1


@kernel
def _looped_starts(starts, columns, out):
    for i in range(starts.size - 1):
        kept = 1
        for p in range(starts[i], starts[i + 1]):
            if columns[p] != i:
                kept += 1
        out[i + 1] = out[i] + kept


@kernel
def _loop(starts, columns, looped_starts, out):
    for i in range(starts.size - 1):
        t = looped_starts[i]
        placed = False
        for p in range(starts[i], starts[i + 1]):
            j = columns[p]
            if j == i:
                continue
            if j > i and not placed:
                out[t] = i
                t += 1
                placed = True
            out[t] = j
            t += 1
        if not placed:
            out[t] = i


@dataclass(frozen=True, eq=False)
class Csr:
    """Row starts [N + 1] (int64) and column indices [E] (int32) of an unweighted sparse matrix, ascending in a row.

    ``numbering``: the matrix that numbers the entries (this is its transpose); None: they are numbered as they lie.
    """

    starts: Tensor
    columns: Tensor
    numbering: Csr | None = None

    @property
    def rows(self) -> int:
        return self.starts.numel() - 1

    @cached_property
    def degrees(self) -> Tensor:
        """How many entries each row has, int64 [N]."""
        return self.starts[1:] - self.starts[:-1]

    @cached_property
    def edges(self) -> Tensor:
        """The number of each entry, int32 [E], where the entries have values of their own."""
        other = self.numbering
        if other is None:
            return torch.arange(self.columns.numel(), dtype=torch.int32, device=self.columns.device)
        if self.columns.device.type != "cpu":
            return torch.argsort(other.columns, stable=True).to(torch.int32)
        out = torch.empty_like(self.columns)
        _number_transposed(*_arrays(other.starts, other.columns, self.starts[:-1].clone(), out))
        return out

    def transpose(self) -> Csr:
        """The transpose, with this matrix' numbers; an undirected graph's shares the columns, which are equal."""
        if self.columns.device.type != "cpu":
            rows = segments.row_of_entry(self)
            order = torch.argsort(self.columns, stable=True)
            return Csr(_starts(torch.bincount(self.columns, minlength=self.rows)), rows[order].to(torch.int32), self)
        starts = _starts(torch.bincount(self.columns, minlength=self.rows))
        columns = torch.empty_like(self.columns)
        _transpose(*_arrays(self.starts, self.columns, starts[:-1].clone(), columns))
        if torch.equal(starts, self.starts) and torch.equal(columns, self.columns):
            return Csr(self.starts, self.columns, self)
        return Csr(starts, columns, self)

    def with_loops(self) -> Csr:
        """With exactly one entry on the diagonal of each row, its own ones replaced."""
        if self.columns.device.type != "cpu":
            rows, own = segments.row_of_entry(self), torch.arange(self.rows, device=self.columns.device)
            keep = rows != self.columns
            return csr(torch.cat([rows[keep], own]), torch.cat([self.columns[keep].long(), own]), self.rows)
        starts = torch.zeros_like(self.starts)
        _looped_starts(*_arrays(self.starts, self.columns, starts))
        columns = torch.empty(int(starts[-1]), dtype=torch.int32)
        _loop(*_arrays(self.starts, self.columns, starts, columns))
        return Csr(starts, columns)

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
        arrays = _arrays(self.starts, self.columns, a, b, out)
        split(self.rows, self.columns.numel() * a.shape[1], lambda first, last: _edge_dots(*arrays, first, last))
        return out

    def _by_rows(self, work: Any, width: int, like: Tensor, *operands: Tensor) -> Tensor:
        out = like.new_empty(self.rows, width)
        arrays = _arrays(self.starts, *operands, out)
        split(self.rows, self.columns.numel() * width, lambda first, last: work(*arrays, first, last))
        return out

    def to(self, device: str, numbering: Csr | None = None) -> Csr:
        """On another device, where ``numbering`` lies already."""
        return Csr(self.starts.to(device), self.columns.to(device), numbering)


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.numpy() for tensor in tensors]


def _starts(counts: Tensor) -> Tensor:
    starts = torch.zeros(counts.numel() + 1, dtype=torch.int64, device=counts.device)
    torch.cumsum(counts, 0, out=starts[1:])
    return starts


def csr(rows: Tensor, columns: Tensor, nodes: int) -> Csr:
    """The matrix of the entries (rows[e], columns[e]), repeated entries kept, sorted by row and then column.

    Raises ValueError where an entry lies outside [0, nodes).
    """
    if rows.device.type != "cpu":
        order = torch.argsort(rows * nodes + columns, stable=True)
        return Csr(_starts(torch.bincount(rows, minlength=nodes)), columns[order].to(torch.int32))
    starts = torch.zeros(nodes + 1, dtype=torch.int64)
    ascends = _count_rows(*_arrays(rows, columns, starts))
    if ascends < 0:
        raise ValueError(f"an edge names a node that there is not: the numbers go from 0 to {nodes - 1}")
    if ascends:
        return Csr(starts, columns.to(torch.int32))
    # By column first, then by row: the second pass keeps the columns' order within a row.
    by_column = _starts(torch.bincount(columns, minlength=nodes))
    out = torch.empty(rows.numel(), dtype=torch.int32)
    _place_entries(*_arrays(columns, rows, by_column[:-1].clone(), out))
    found = torch.empty_like(out)
    _transpose(*_arrays(by_column, out, starts[:-1].clone(), found))
    return Csr(starts, found)
