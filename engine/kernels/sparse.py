"""A constant sparse operand (bag-of-words features): products that touch its non-zeros only.

Cora's features are 1.3 % non-zeros; kept sparse, the two products of the first layer take a tenth of
the dense ones' time, and input dropout hashes the non-zeros alone. Sums run in the order of the rows'
entries, so the same operand gives the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from engine.kernels.hashing import hash_uniform
from engine.kernels.jit import kernel
from engine.kernels.row_vectors import sum_row
from engine.randomness import Key

DENSEST = 0.15
"""Share of non-zeros up to which the sparse products are the faster ones."""


@kernel
def _multiply(starts, columns, values, kernel, out):
    width = kernel.shape[1]
    flat, sums = kernel.reshape(kernel.size), out.reshape(out.size)
    for i in range(starts.size - 1):
        sum_row(values, flat, width, columns, starts[i], starts[i + 1], sums, i * width)


@kernel
def _multiply_transposed(starts, columns, values, gradient, out):
    width = gradient.shape[1]
    for i in range(starts.size - 1):
        for p in range(starts[i], starts[i + 1]):
            v, j = values[p], columns[p]
            for k in range(width):
                out[j, k] += v * gradient[i, k]


@kernel
def _drop(numbers, values, rate, scale, first, second, out):
    for p in range(values.size):
        value = values[p] * scale  # outside of the choice, which is then no branch
        out[p] = value if hash_uniform(numbers[p], first, second) >= rate else np.float32(0)


@dataclass(frozen=True)
class SparseOperand:
    """A matrix [rows, inputs] by rows: starts [rows + 1], columns [nnz], values [nnz] float32."""

    starts: Tensor
    columns: Tensor
    values: Tensor
    inputs: int

    @property
    def shape(self) -> tuple[int, int]:
        return self.starts.numel() - 1, self.inputs

    @cached_property
    def places(self) -> SparseOperand:
        """The operand whose places these are: what is found of them is kept there, once somebody asks."""
        return self

    @cached_property
    def entry_rows(self) -> Tensor:
        """The row of each entry, int64 [nnz]."""
        if self.places is not self:
            return self.places.entry_rows
        counts = self.starts[1:] - self.starts[:-1]
        return torch.repeat_interleave(torch.arange(counts.numel()), counts)

    @cached_property
    def entry_numbers(self) -> np.ndarray:
        """Each entry's row-major number in the dense matrix modulo 2^32, uint32 [nnz]: the dense mask's."""
        if self.places is not self:
            return self.places.entry_numbers
        return (self.entry_rows * self.inputs + self.columns).numpy().astype(np.uint32)

    def with_values(self, values: Tensor) -> SparseOperand:
        """The same places with other values [nnz]."""
        other = SparseOperand(self.starts, self.columns, values, self.inputs)
        other.__dict__["places"] = self.places
        return other

    def values_of(self, x: Tensor) -> SparseOperand | None:
        """The operand of these places with the values of x [rows, inputs]; None where x has non-zeros elsewhere."""
        values = x[self.entry_rows, self.columns]
        return self.with_values(values) if values.count_nonzero() == x.count_nonzero() else None

    def dense(self) -> Tensor:
        """The matrix [rows, inputs] with its zeros."""
        out = torch.zeros(self.shape, dtype=self.values.dtype)
        out[self.entry_rows, self.columns] = self.values
        return out

    @classmethod
    def from_dense(cls, x: Tensor) -> SparseOperand | None:
        """x's non-zeros, or None where x is on another device than the CPU or not sparse enough to gain."""
        if x.is_cuda or x.dim() != 2 or torch.count_nonzero(x).item() > DENSEST * x.numel():
            return None
        rows, columns = x.nonzero(as_tuple=True)
        starts = torch.zeros(x.shape[0] + 1, dtype=torch.int64)
        torch.cumsum(torch.bincount(rows, minlength=x.shape[0]), 0, out=starts[1:])
        return cls(starts, columns.contiguous(), x[rows, columns], x.shape[1])

    def drop(self, rate: float, key: Key) -> SparseOperand:
        """The operand after ``engine.kernels.dropout.drop`` of the dense matrix."""
        out = torch.empty_like(self.values)
        _drop(
            self.entry_numbers,
            self.values.numpy(),
            np.float32(rate),
            np.float32(1 / (1 - rate)),
            np.uint32(key.first),
            np.uint32(key.second),
            out.numpy(),
        )
        return self.with_values(out)

    def multiply(self, kernel: Tensor) -> Tensor:
        """X·Wᵀ for W [outputs, inputs] → [rows, outputs]."""
        out = self.values.new_empty(self.starts.numel() - 1, kernel.shape[0])
        transposed = kernel.detach().t().to(out.dtype).contiguous()
        _multiply(self.starts.numpy(), self.columns.numpy(), self.values.numpy(), transposed.numpy(), out.numpy())
        return out

    def multiply_gradient(self, gradient: Tensor) -> Tensor:
        """dYᵀ·X for dY [rows, outputs] → [outputs, inputs]."""
        out = torch.zeros(self.inputs, gradient.shape[1])
        rows = gradient.detach().contiguous()
        _multiply_transposed(self.starts.numpy(), self.columns.numpy(), self.values.numpy(), rows.numpy(), out.numpy())
        return out.t()
