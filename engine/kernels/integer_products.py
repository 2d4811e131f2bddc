"""Exact products of integer codes with a weight: dense or sparse codes × [outputs, inputs] → int32 sums.

Libraries' int8 products saturate where the processor lacks AVX512-VNNI: onednn's adds two products of 8 bits in 16, and
gives 8,388,352 for 512·255·127 = 16,581,120. These multiply 16-bit operands, as fast (engine.kernels.vectors), and
have a zero point each for nothing: operands are code + offset.

Sums are finished (engine.kernels.finish) while they are at hand, or kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.kernels.finish import TILE_ROWS, Program, finish_block, rows_together, targets
from engine.kernels.jit import kernel
from engine.kernels.sparse import SparseOperand
from engine.kernels.threads import split
from engine.kernels.vectors import (
    TILE_COLUMNS,
    add_products_16,
    add_products_32,
    add_products_64,
    multiply_tile,
)

MOST = 2**31 - 1


@dataclass(frozen=True)
class Kernel:
    """A weight's integers [outputs, inputs] (code + offset, at most 16 bits), made ready for both products.

    ``width``: the outputs, filled up with zeros to a multiple of 16. ``tiles`` int16 [width/16, pairs of inputs, 32];
    ``rows`` int16 [inputs, width].
    """

    tiles: np.ndarray
    rows: np.ndarray
    largest: int

    @classmethod
    def of(cls, integers: np.ndarray) -> Kernel:
        outputs, inputs = integers.shape
        blocks, pairs = max(-(-outputs // TILE_COLUMNS), 1), -(-inputs // 2)
        padded = np.zeros((blocks * TILE_COLUMNS, 2 * pairs), np.int16)
        padded[:outputs, :inputs] = integers
        by_pair = padded.reshape(blocks, TILE_COLUMNS, pairs, 2).transpose(0, 2, 1, 3)
        rows = np.ascontiguousarray(padded[:, :inputs].T)
        tiles = np.ascontiguousarray(by_pair).reshape(blocks, pairs, 2 * TILE_COLUMNS)
        return cls(tiles, rows, int(np.abs(integers).max(initial=0)))

    @property
    def width(self) -> int:
        return self.rows.shape[1]

    def holds(self, largest: int) -> bool:
        """Whether the integers fit 16 bits, and no sum leaves 32 for operands of at most this magnitude."""
        return self.largest < 2**15 and largest * self.largest * max(self.rows.shape[0], 1) <= MOST


@kernel
def _multiply_dense(codes, inputs, offset, tiles, program, outs, first, last):
    length = 2 * tiles.shape[1]
    width = tiles.shape[0] * TILE_COLUMNS
    x = np.zeros((TILE_ROWS, length), np.int16)
    flat = x.reshape(-1)
    together = rows_together(width)
    sums = np.empty(together * width, np.int32)
    room = np.empty(sums.size, np.float32)
    for start in range(first, last, together):
        rows = min(together, last - start)
        for i in range(0, rows, TILE_ROWS):
            for r in range(min(TILE_ROWS, rows - i)):
                source, target = codes[start + i + r], x[r]
                for k in range(inputs):
                    target[k] = np.int16(source[k]) + offset
            for block in range(tiles.shape[0]):
                place = sums[i * width + block * TILE_COLUMNS :]
                multiply_tile(flat, length, tiles[block].reshape(-1), place, width)  # pyright: ignore[reportCallIssue]
        finish_block(sums, start, rows, width, room, program, outs)


@kernel
def _multiply_entries(starts, columns, values, kernel, width, program, outs, first, last):
    together = rows_together(width)
    sums = np.empty(together * width, np.int32)
    room = np.empty(sums.size, np.float32)
    for start in range(first, last, together):
        rows = min(together, last - start)
        for r in range(rows):
            begin, end, k = starts[start + r], starts[start + r + 1], 0
            row = sums[r * width : (r + 1) * width]
            row[:] = 0
            while k + 64 <= width:
                add_products_64(values, columns, kernel, width, begin, end, row, k)
                k += 64
            if k + 32 <= width:
                add_products_32(values, columns, kernel, width, begin, end, row, k)
                k += 32
            if k < width:
                add_products_16(values, columns, kernel, width, begin, end, row, k)
        finish_block(sums, start, rows, width, room, program, outs)


def multiply_dense(
    codes: np.ndarray, offset: int, kernel: Kernel, out: np.ndarray, program: Program | None = None
) -> None:
    """out = the finished (codes + offset)·weightᵀ: int8 [rows, ≥ inputs] → [rows, width], int32 without a program."""
    inputs = kernel.rows.shape[0]
    arguments = (codes, inputs, np.int16(offset), kernel.tiles, *targets(out, program, np.int32))
    # 16 products cost what the threads' threshold counts as an element.
    elements = len(codes) * inputs * kernel.width // 16
    split(len(codes), elements, lambda first, last: _multiply_dense(*arguments, first, last))


def multiply_entries(
    places: SparseOperand, values: np.ndarray, kernel: Kernel, out: np.ndarray, program: Program | None = None
) -> None:
    """The same of a sparse matrix: ``values`` int16 [entries] are code + offset, which is 0 everywhere else."""
    starts, columns = places.starts.numpy(), places.columns.numpy()
    sides = targets(out, program, np.int32)
    arguments = (starts, columns, values, kernel.rows.reshape(-1), kernel.width, *sides)
    elements = values.size * kernel.width // 8
    split(places.shape[0], elements, lambda first, last: _multiply_entries(*arguments, first, last))
