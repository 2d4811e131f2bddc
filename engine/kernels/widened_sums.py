"""Sums of codes over a graph's edges in float32, for widths at which integers do not pay: made whole numbers of float32
first, then summed row by row and finished (engine.kernels.finish) while the sums are at hand.

Without factors they are exact below 2^24; with factors, each product and each sum is rounded to float32, in the
entries' order.
"""

from __future__ import annotations

import numpy as np

from engine.kernels.csr import Csr
from engine.kernels.finish import Program, finish_block, rows_together, targets
from engine.kernels.jit import kernel
from engine.kernels.row_vectors import sum_row
from engine.kernels.threads import split


@kernel
def _widen(codes, offset, factors, values, first, last):
    """values = (codes + offset)·factor of each row; ``factors`` of no rows: without."""
    for i in range(first, last):
        if factors.size:
            for k in range(codes.shape[1]):
                values[i, k] = np.float32(np.float32(codes[i, k]) + offset) * factors[i]
        else:
            for k in range(codes.shape[1]):
                values[i, k] = np.float32(codes[i, k]) + offset


@kernel
def _sum_values(starts, columns, values, width, program, outs, first, last):
    together = rows_together(width)
    sums = np.empty(together * width, np.float32)
    room = np.empty(sums.size, np.float32)
    for start in range(first, last, together):
        rows = min(together, last - start)
        for r in range(rows):
            sum_row(None, values, width, columns, starts[start + r], starts[start + r + 1], sums, r * width)
        finish_block(sums, start, rows, width, room, program, outs)


def sum_widened(
    matrix: Csr,
    codes: np.ndarray,
    offset: int,
    factor: np.ndarray | None,
    values: np.ndarray,
    out: np.ndarray,
    program: Program | None = None,
) -> None:
    """out[i] = the finished sum over row i of factor[j]·(codes[j] + offset); ``factor`` float32 [N], None: 1.

    codes int8 [N, width]; ``values`` float32 [N, width] is overwritten; ``out``: [N, width], float32 without a program,
    else what its last step gives.
    """
    width = codes.shape[1]
    factors = np.empty(0, np.float32) if factor is None else factor
    split(len(codes), codes.size, lambda first, last: _widen(codes, np.float32(offset), factors, values, first, last))
    arrays, outs = targets(out, program, np.float32)
    starts, columns, flat = matrix.starts.numpy(), matrix.columns.numpy(), values.reshape(-1)
    elements = columns.size * width
    split(
        matrix.rows, elements, lambda first, last: _sum_values(starts, columns, flat, width, arrays, outs, first, last)
    )
