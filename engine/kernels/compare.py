"""A tensor beside its quantized values, by classes of rows, in one pass: what diagnostics are made of."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from engine.kernels.grid import Grid
from engine.kernels.jit import kernel

ROWS, SIGNAL, NOISE, THERE, ZEROED, OUTSIDE = range(6)
COLUMNS = 6


@kernel
def _compare(x, out, label, found):
    for i in range(x.shape[0]):
        row = found[label[i]]
        row[0] += 1
        signal = noise = 0.0
        there = zeroed = 0
        for k in range(x.shape[1]):
            v, w = x[i, k], out[i, k]
            off = v - w
            signal += np.float64(v * v)
            noise += np.float64(off * off)
            there += v != 0
            zeroed += (v != 0) & (w == 0)
        row[1] += signal
        row[2] += noise
        row[3] += there
        row[4] += zeroed


@kernel
def _count_outside(x, label, m, divisor, d, first, last, found):
    for i in range(x.shape[0]):
        outside = 0
        for k in range(x.shape[1]):
            code = np.rint((np.float64(x[i, k]) - m) / divisor - d)
            outside += (code < first) | (code > last)
        found[label[i], 5] += outside


def compare_rows(x: Tensor, out: Tensor, label: Tensor, labels: int, grid: Grid | None) -> np.ndarray:
    """By the rows' ``label`` (int64 [N] below ``labels``), float64 [labels, COLUMNS].

    How many rows, Σx², Σ(x − x̂)², how many elements are not 0, how many of those x̂ makes 0, and, with a ``grid``, how
    many codes its clamp moves.

    x and x̂: [N, F] float32 on the CPU.
    """
    found = np.zeros((labels, COLUMNS))
    source, names = x.detach().contiguous().numpy(), label.numpy()
    _compare(source, out.detach().contiguous().numpy(), names, found)
    if grid is not None:
        numbers = (float(value) for value in (grid.m, grid.divisor, grid.d, grid.first, grid.last))
        _count_outside(source, names, *numbers, found)
    return found
