"""The k-th least and the k-th largest of many values, for ranks near the ends: one pass, nothing is sorted or copied.

Two heaps hold the candidates; almost every value is turned away by one comparison with a heap's root.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.kernels.jit import kernel

MOST = 1 << 12
"""The largest rank from either end for which the heaps are the faster way; beyond it numpy partitions."""
_FINITE = np.int32(0x7F800000)
_MAGNITUDE = np.int32(0x7FFFFFFF)


@kernel
def _sink(heap, value):
    """Replace the root of a heap whose root is the largest, and restore its order."""
    size, at = heap.size, 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= value:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = value


@kernel
def _ends(values, bits, low, high):
    """Fill ``low`` with the least values, ``high`` with the largest negated; whether all are finite."""
    low[:] = np.inf
    high[:] = np.inf
    for i in range(values.size):
        if (bits[i] & _MAGNITUDE) >= _FINITE:
            return False
        value = values[i]
        if value < low[0]:
            _sink(low, value)
        if -value < high[0]:
            _sink(high, -value)
    return True


def order_statistics(values: Tensor, low_rank: int, high_rank: int) -> tuple[float, float] | None:
    """(low_rank-th, high_rank-th) of float32 values [n] on the CPU in ascending order, ranks from 1 to n.

    None where a value is NaN or infinite.
    """
    n = values.numel()
    array = values.detach().contiguous().numpy()
    from_top = n - high_rank + 1
    if max(low_rank, from_top) > MOST:
        if not bool(torch.isfinite(torch.stack(torch.aminmax(values))).all()):
            return None
        ordered = np.partition(array, sorted({low_rank - 1, high_rank - 1}))
        return float(ordered[low_rank - 1]), float(ordered[high_rank - 1])
    low, high = np.empty(low_rank, np.float32), np.empty(from_top, np.float32)
    if not _ends(array, array.view(np.int32), low, high):
        return None
    return float(low[0]), -float(high[0])


@kernel
def _gather(x, rows, width, stride, out):
    row, column = 0, 0
    for i in range(out.size):
        out[i] = x[rows[row] * width + column]
        column += stride
        row += column // width
        column %= width


def every_nth_of_rows(x: Tensor, rows: Tensor, stride: int) -> Tensor:
    """Each ``stride``-th element of x[rows] in row-major order, as one line, without copying the rows."""
    width = x.numel() // max(x.shape[0], 1)
    count = rows.numel() * width
    if x.device.type != "cpu" or not x.is_contiguous():
        places = torch.arange(0, count, stride, device=x.device)
        return x.reshape(-1)[rows[places // width] * width + places % width]
    out = x.detach().new_empty(-(-count // stride))
    _gather(x.detach().view(-1).numpy(), rows.numpy(), width, stride, out.numpy())
    return out
