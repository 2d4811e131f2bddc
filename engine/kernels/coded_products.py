"""Products of a constant's codes with a quantized tensor of the step, exact in integers.

Where both lie on grids through zero, x̂ = c·n, the product is c_x·c_w·Σ n_x·n_w, and integers are multiplied at half of
float32's cost or less. The tensor's integers are read off its values.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.kernels.integer_products import Kernel, multiply_dense
from engine.kernels.jit import kernel
from engine.kernels.vectors import TILE_COLUMNS

BLOCK = 64


@kernel
def _lay_out(values, c, tiles, rows):
    """The integers of values [inputs, outputs] as ``Kernel`` has them; gives the largest magnitude."""
    largest = 0
    for k in range(values.shape[0]):
        for j in range(values.shape[1]):
            n = np.int64(np.rint(np.float64(values[k, j]) / c))
            largest = max(largest, abs(n))
            rows[k, j] = np.int16(n)
            tiles[j // TILE_COLUMNS, k // 2, 2 * (j % TILE_COLUMNS) + k % 2] = np.int16(n)
    return largest


@kernel
def _scale(sums, factor, out):
    for i in range(out.shape[0]):
        for k in range(out.shape[1]):
            out[i, k] = np.float64(sums[i, k]) * factor


@kernel
def transpose(source, target):
    """target [columns, rows] = source [rows, columns], a block at a time: both stay within the cache."""
    rows, columns = source.shape
    for i0 in range(0, rows, BLOCK):
        for k0 in range(0, columns, BLOCK):
            for k in range(k0, min(k0 + BLOCK, columns)):
                for i in range(i0, min(i0 + BLOCK, rows)):
                    target[k, i] = source[i, k]


def multiply_codes(codes: Tensor, offset: int, largest: int, unit: float, values: Tensor, c: float) -> Tensor | None:
    """(unit·(codes + offset))·values for int8 codes [rows, inputs] and values [inputs, outputs] = c·integers.

    ``largest``: magnitude of codes + offset. None where the integers' sums would not fit into 32 bits.
    """
    inputs, outputs = values.shape
    blocks = max(-(-outputs // TILE_COLUMNS), 1)
    tiles = np.zeros((blocks, -(-inputs // 2), 2 * TILE_COLUMNS), np.int16)
    rows = np.zeros((inputs, blocks * TILE_COLUMNS), np.int16)
    integers = Kernel(tiles, rows, int(_lay_out(values.detach().numpy(), c, tiles, rows)))
    if not integers.holds(largest):
        return None
    sums = np.empty((codes.shape[0], integers.width), np.int32)
    multiply_dense(codes.numpy(), offset, integers, sums)
    out = torch.empty(codes.shape[0], outputs)
    _scale(sums, unit * c, out.numpy())
    return out
