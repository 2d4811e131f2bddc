"""Sums of integer codes over a graph's edges: exact, whatever the order and the number of threads.

    sum_codes      a_i = Σ over edges j→i of (q_j + d)           int8 codes, int16 partial sums, int32 results
    sum_nibbles    the same of codes of at most 4 bits, two in a byte
    sum_weighted   a_i = Σ w_j·(q_j + d)                          w_j: a node's factor in fixed point; exact in
                                                                 float64 up to an in-degree of 65,793

Sums are finished (engine.kernels.finish) while they are at hand, or kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.kernels.csr import Csr
from engine.kernels.finish import Program, finish_block, rows_together, targets
from engine.kernels.jit import kernel
from engine.kernels.threads import split
from engine.kernels.vectors import (
    add_nibbles_32,
    add_nibbles_64,
    add_nibbles_128,
    add_rows_16,
    add_rows_32,
    add_rows_64,
    add_rows_128,
    add_weighted_rows_16,
    add_weighted_rows_32,
)

LANES = 16
"""Columns of int8 codes come in multiples of these; what is missing is filled with the code of 0."""
NIBBLE_LANES = 64
FIXED_POINT = 29
"""Bits after the point of a node's factor, which is at most 1: its upper 15 bits are one int16, the lower another."""


@kernel
def _sum_codes(starts, columns, codes, width, offset, program, outs, first, last):
    together = rows_together(width)
    sums = np.empty(together * width, np.int32)
    room = np.empty(sums.size, np.float32)
    for start in range(first, last, together):
        rows = min(together, last - start)
        for r in range(rows):
            begin, end = starts[start + r], starts[start + r + 1]
            row = sums[r * width : (r + 1) * width]
            row[:] = offset * (end - begin)
            for p in range(begin, end, 256):
                stop, k = min(p + 256, end), 0
                while k + 128 <= width:
                    add_rows_128(codes, width, columns, p, stop, row, k)
                    k += 128
                if k + 64 <= width:
                    add_rows_64(codes, width, columns, p, stop, row, k)
                    k += 64
                if k + 32 <= width:
                    add_rows_32(codes, width, columns, p, stop, row, k)
                    k += 32
                if k < width:
                    add_rows_16(codes, width, columns, p, stop, row, k)
        finish_block(sums, start, rows, width, room, program, outs)


@kernel
def _sum_nibbles(starts, columns, packed, width, offset, program, outs, first, last):
    together = rows_together(2 * width)
    sums = np.empty(together * 2 * width, np.int32)
    room = np.empty(sums.size, np.float32)
    for start in range(first, last, together):
        rows = min(together, last - start)
        for r in range(rows):
            begin, end = starts[start + r], starts[start + r + 1]
            row = sums[2 * r * width : 2 * (r + 1) * width]
            row[:] = offset * (end - begin)
            for p in range(begin, end, 16):
                stop, k = min(p + 16, end), 0
                while k + 128 <= width:
                    add_nibbles_128(packed, width, columns, p, stop, row, k)
                    k += 128
                if k + 64 <= width:
                    add_nibbles_64(packed, width, columns, p, stop, row, k)
                    k += 64
                if k < width:
                    add_nibbles_32(packed, width, columns, p, stop, row, k)
        finish_block(sums, start, rows, 2 * width, room, program, outs)


@kernel
def _sum_weighted(starts, columns, codes, width, offset, weights, totals, program, outs, first, last):
    together = rows_together(width)
    sums = np.empty(together * width, np.float64)
    room = np.empty(sums.size, np.float32)
    for start in range(first, last, together):
        rows = min(together, last - start)
        for r in range(rows):
            begin, end = starts[start + r], starts[start + r + 1]
            row = sums[r * width : (r + 1) * width]
            row[:] = offset * totals[start + r]
            for p in range(begin, end, 256):
                stop, k = min(p + 256, end), 0
                while k + 32 <= width:
                    add_weighted_rows_32(codes, width, columns, weights, p, stop, row, k)
                    k += 32
                if k < width:
                    add_weighted_rows_16(codes, width, columns, weights, p, stop, row, k)
        finish_block(sums, start, rows, width, room, program, outs)


def _over_rows(work: Any, matrix: Csr, width: int, out: np.ndarray, program: Program | None, *arguments: Any) -> None:
    starts, columns = matrix.starts.numpy(), matrix.columns.numpy()
    arrays, outs = targets(out, program, np.float64 if work is _sum_weighted else np.int32)
    # A code's addition costs a quarter of what the threads' threshold counts as an element.
    elements = (columns.size // 4 + matrix.rows) * width
    split(matrix.rows, elements, lambda first, last: work(starts, columns, *arguments, arrays, outs, first, last))


def sum_codes(matrix: Csr, codes: np.ndarray, offset: int, out: np.ndarray, program: Program | None = None) -> None:
    """out[i] = the finished sum over row i of codes + offset: int8 [N, width], width a multiple of ``LANES``.

    ``out``: [N, width], int32 without a program, else what its last step gives.
    """
    _over_rows(_sum_codes, matrix, codes.shape[1], out, program, codes.reshape(-1), codes.shape[1], np.int64(offset))


def pack_nibbles(codes: np.ndarray) -> np.ndarray:
    """Codes 0…15, uint8 [N, width], width a multiple of ``NIBBLE_LANES``, as uint8 [N, width/2]: column k in the low
    half of byte k, column width/2 + k in its high half."""
    half = codes.shape[1] // 2
    return codes[:, :half] | (codes[:, half:] << 4)


def sum_nibbles(matrix: Csr, packed: np.ndarray, offset: int, out: np.ndarray, program: Program | None = None) -> None:
    """As ``sum_codes``, of packed codes."""
    width = packed.shape[1]
    _over_rows(_sum_nibbles, matrix, 2 * width, out, program, packed.reshape(-1), width, np.int64(offset))


@dataclass(frozen=True)
class FixedPoint:
    """Nodes' factors within [0, 1] with ``FIXED_POINT`` bits after the point, and their sum over each row of a matrix.

    ``halves`` int16 [2·N]: upper and lower bits of each; ``totals`` int64 [N].
    """

    halves: np.ndarray
    totals: np.ndarray

    @classmethod
    def of(cls, factors: Tensor, matrix: Csr) -> FixedPoint:
        """``factors``: float32 [N, 1]."""
        whole = torch.round(factors.double().squeeze(1) * 2.0**FIXED_POINT).long()
        halves = torch.stack([whole >> 15, whole & 0x7FFF], dim=1).to(torch.int16)
        ends = torch.nn.functional.pad(whole[matrix.columns].cumsum(0), (1, 0))[matrix.starts]
        return cls(halves.numpy().reshape(-1), (ends[1:] - ends[:-1]).numpy())


def sum_weighted(
    matrix: Csr, codes: np.ndarray, offset: int, factors: FixedPoint, out: np.ndarray, program: Program | None = None
) -> None:
    """out[i] = the finished sum over row i of factor[j]·2^``FIXED_POINT``·(codes[j] + offset).

    ``out``: float64 without a program.
    """
    weights, width = (factors.halves, factors.totals), codes.shape[1]
    _over_rows(_sum_weighted, matrix, 2 * width, out, program, codes.reshape(-1), width, np.int64(offset), *weights)
