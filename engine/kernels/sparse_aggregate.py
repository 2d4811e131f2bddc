"""Aggregates of a sparse constant (bag-of-words features), sparse × sparse.

Which elements of the result can differ from zero depends on the graph and the operand's places only:
``SparseSum.plan`` finds them once, and each step adds values to known places (Cora: 190 thousand
additions, where the dense sum touches 15 million elements).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from engine.kernels.csr import Csr
from engine.kernels.jit import kernel
from engine.kernels.sparse import DENSEST, SparseOperand


@kernel
def _count(starts, columns, operand_starts, operand_columns, own, seen, counts):
    for i in range(starts.size - 1):
        found = 0
        if own:
            for q in range(operand_starts[i], operand_starts[i + 1]):
                k = operand_columns[q]
                if seen[k] != i:
                    seen[k] = i
                    found += 1
        for p in range(starts[i], starts[i + 1]):
            j = columns[p]
            for q in range(operand_starts[j], operand_starts[j + 1]):
                k = operand_columns[q]
                if seen[k] != i:
                    seen[k] = i
                    found += 1
        counts[i] = found


@kernel
def _place(
    starts,
    columns,
    operand_starts,
    operand_columns,
    own,
    out_starts,
    seen,
    place,
    out_columns,
    positions,
    own_positions,
):
    t = 0
    for i in range(starts.size - 1):
        end = out_starts[i]
        if own:
            for q in range(operand_starts[i], operand_starts[i + 1]):
                k = operand_columns[q]
                if seen[k] != i:
                    seen[k], place[k], out_columns[end] = i, end, k
                    end += 1
                own_positions[q] = place[k]
        for p in range(starts[i], starts[i + 1]):
            j = columns[p]
            for q in range(operand_starts[j], operand_starts[j + 1]):
                k = operand_columns[q]
                if seen[k] != i:
                    seen[k], place[k], out_columns[end] = i, end, k
                    end += 1
                positions[t] = place[k]
                t += 1


@kernel
def _add(starts, columns, operand_starts, positions, values, out):
    t = 0
    for i in range(starts.size - 1):
        for p in range(starts[i], starts[i + 1]):
            j = columns[p]
            for q in range(operand_starts[j], operand_starts[j + 1]):
                out[positions[t]] += values[q]
                t += 1


@kernel
def _add_weighted(starts, columns, operand_starts, positions, values, weights, out):
    t = 0
    for i in range(starts.size - 1):
        for p in range(starts[i], starts[i + 1]):
            j, weight = columns[p], weights[p]
            for q in range(operand_starts[j], operand_starts[j + 1]):
                out[positions[t]] += weight * values[q]
                t += 1


@kernel
def _greatest(starts, columns, operand_starts, positions, values, counts, out):
    t = 0
    for i in range(starts.size - 1):
        for p in range(starts[i], starts[i + 1]):
            j = columns[p]
            for q in range(operand_starts[j], operand_starts[j + 1]):
                at = positions[t]
                if counts[at] == 0 or not (values[q] <= out[at]):
                    out[at] = values[q]
                counts[at] += 1
                t += 1


@kernel
def _add_dense(starts, columns, operand_starts, operand_columns, values, out):
    for i in range(starts.size - 1):
        for p in range(starts[i], starts[i + 1]):
            j = columns[p]
            for q in range(operand_starts[j], operand_starts[j + 1]):
                out[i, operand_columns[q]] += values[q]


@dataclass(frozen=True, eq=False)
class SparseSum:
    """Where the sum over incoming rows of a sparse operand lies.

    ``starts`` [N + 1], ``columns`` [nnz]: the result's places; ``positions``: where each entry of each edge's
    source goes, in the order of the edges; ``own_positions`` [operand's nnz]: where each node's own entries
    lie in its row (None where they were not asked for).
    """

    matrix: Csr
    operand_starts: Tensor
    operand_columns: Tensor
    inputs: int
    starts: Tensor
    columns: Tensor
    positions: Tensor
    own_positions: Tensor | None

    @classmethod
    def plan(cls, operand: SparseOperand, matrix: Csr, *, own: bool) -> SparseSum | None:
        """The places of the sum (``own``: and of the node's own entries); None where it would not be sparse."""
        nodes, inputs = operand.shape
        arrays = [t.numpy() for t in (matrix.starts, matrix.columns, operand.starts, operand.columns)]
        counts = torch.empty(nodes, dtype=torch.int64)
        _count(*arrays, own, np.full(inputs, -1), counts.numpy())
        total = int(counts.sum())
        if total > DENSEST * nodes * inputs:
            return None
        starts = torch.zeros(nodes + 1, dtype=torch.int64)
        starts[1:] = counts.cumsum(0)
        lengths = operand.starts[1:] - operand.starts[:-1]
        columns = torch.empty(total, dtype=torch.int64)
        positions = torch.empty(int(lengths[matrix.columns].sum()), dtype=torch.int32)
        own_positions = torch.empty(operand.columns.numel() if own else 0, dtype=torch.int64)
        found = [t.numpy() for t in (columns, positions, own_positions)]
        _place(*arrays, own, starts.numpy(), np.full(inputs, -1), np.empty(inputs, dtype=np.int64), *found)
        placed = own_positions if own else None
        return cls(matrix, operand.starts, operand.columns, inputs, starts, columns, positions, placed)

    def fits(self, operand: SparseOperand) -> bool:
        """Whether an operand has the places that this was planned for."""
        return operand.columns is self.operand_columns and operand.starts is self.operand_starts

    def owns(self, operand: SparseOperand) -> bool:
        """Whether an operand has the places of this sum's results."""
        return operand.columns is self.columns and operand.starts is self.starts

    def sum(self, values: Tensor, weights: Tensor | None = None) -> SparseOperand:
        """Σ over incoming edges of the source's row, from the operand's values; ``weights`` [E]: times the edge's."""
        out = torch.zeros(self.columns.numel())
        if weights is None:
            _add(*self._arrays(), values.numpy(), out.numpy())
        else:
            _add_weighted(*self._arrays(), values.numpy(), weights.numpy(), out.numpy())
        return self._operand(out)

    def greatest(self, values: Tensor) -> SparseOperand:
        """The greatest of the sources' elements, zeros included; 0 where nothing comes in."""
        out, counts = torch.zeros(self.columns.numel()), torch.zeros(self.columns.numel(), dtype=torch.int64)
        _greatest(*self._arrays(), values.numpy(), counts.numpy(), out.numpy())
        operand = self._operand(out)
        degree = (self.matrix.starts[1:] - self.matrix.starts[:-1])[operand.entry_rows]
        return operand.with_values(torch.where(counts < degree, out.clamp(min=0), out))

    def add_own(self, total: SparseOperand, values: Tensor) -> SparseOperand:
        """A result of ``sum`` plus the nodes' own entries."""
        assert self.own_positions is not None
        return total.with_values(total.values.index_add(0, self.own_positions, values))

    def _arrays(self):
        tensors = (self.matrix.starts, self.matrix.columns, self.operand_starts, self.positions)
        return [tensor.numpy() for tensor in tensors]

    def _operand(self, values: Tensor) -> SparseOperand:
        return self._empty.with_values(values)

    @cached_property
    def _empty(self) -> SparseOperand:
        """The result's places; what is found of them once serves every step's values."""
        return SparseOperand(self.starts, self.columns, torch.empty(0), self.inputs)


def sum_densely(operand: SparseOperand, matrix: Csr) -> Tensor:
    """Σ over incoming edges of the source's row as a dense [N, inputs] tensor, from the entries alone."""
    out = torch.zeros(operand.shape)
    tensors = (matrix.starts, matrix.columns, operand.starts, operand.columns, operand.values)
    _add_dense(*(tensor.numpy() for tensor in tensors), out.numpy())
    return out
