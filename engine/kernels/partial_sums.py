"""The largest partial sum of integer products, in the order in which they are added: how wide an accumulator must be.

Every sum of a row begins at 0 and adds one product after the other; the greatest magnitude on the way is what the
accumulator has to hold, not only the final one.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from engine.kernels.csr import Csr
from engine.kernels.jit import kernel


@kernel
def _of_dense(x, weight, rows):
    most = np.int64(0)
    total = np.empty(weight.shape[1], np.int64)
    for i in rows:
        total[:] = 0
        for k in range(x.shape[1]):
            v = np.int64(x[i, k])
            if v == 0:
                continue
            for o in range(total.size):
                total[o] += v * weight[k, o]
                most = max(most, abs(total[o]))
    return most


@kernel
def _of_sparse(starts, columns, values, weight, rows):
    most = np.int64(0)
    total = np.empty(weight.shape[1], np.int64)
    for i in rows:
        total[:] = 0
        for p in range(starts[i], starts[i + 1]):
            v, k = np.int64(values[p]), columns[p]
            for o in range(total.size):
                total[o] += v * weight[k, o]
                most = max(most, abs(total[o]))
    return most


@kernel
def _of_rows(starts, columns, x, rows, by_edge):
    most = np.int64(0)
    total = np.empty(x.shape[1], np.int64)
    for i in rows:
        total[:] = 0
        for p in range(starts[i], starts[i + 1]):
            j = p if by_edge else columns[p]
            for k in range(total.size):
                total[k] += x[j, k]
                most = max(most, abs(total[k]))
    return most


def largest_of_product(x: Tensor, weight: Tensor, rows: Tensor) -> int:
    """Of x·weightᵀ: x int64 [n, inputs], weight int64 [outputs, inputs], over these of x's rows, int64."""
    return int(_of_dense(x.numpy(), _turned(weight), rows.numpy()))


def largest_of_sparse_product(starts: Tensor, columns: Tensor, values: Tensor, weight: Tensor, rows: Tensor) -> int:
    """The same for a sparse x by rows."""
    return int(_of_sparse(starts.numpy(), columns.numpy(), values.numpy(), _turned(weight), rows.numpy()))


def largest_of_sum(incoming: Csr, x: Tensor, rows: Tensor, *, by_edge: bool = False) -> int:
    """Of the sums of x's rows (int64) over the edges into these nodes; ``by_edge``: x has a row an edge."""
    return int(_of_rows(incoming.starts.numpy(), incoming.columns.numpy(), x.numpy(), rows.numpy(), by_edge))


def _turned(weight: Tensor) -> np.ndarray:
    return weight.t().contiguous().numpy()
