"""Rows in b-bit codes, each with a range of its own: what a step keeps for its backward pass (METHODS, [EXACT]).

Codes lie in a row's bytes one after the other, the first in the lowest bits; a row's bytes are whole. What is unpacked
is what fake-quantization by rows gives, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from engine.kernels.coded import Decoded
from engine.kernels.finite import NonFiniteError
from engine.kernels.grid import Grid, fits_float32
from engine.kernels.jit import kernel
from engine.kernels.rounding import Rounding, clamp, fill_uniform, round_code
from engine.kernels.threads import split

if TYPE_CHECKING:
    from engine.formats.grid import GridFormat


@kernel
def _pack(x, start, bits, m, divisor, d, first, last, floor, key, out):
    length = x.shape[1]
    u, codes = np.empty(length, np.float32), np.empty(length, np.uint8)
    for r in range(x.shape[0]):
        if key is not None:
            fill_uniform(u, start + r * length, key)
        for i in range(length):
            if key is not None:
                code = round_code((np.float64(x[r, i]) - m[r]) / divisor[r] - d[r], u, i, floor)
            else:
                code = round_code((np.float64(x[r, i]) - m[r]) / divisor[r] - d[r], None, i, floor)
            codes[i] = np.uint8(clamp(code, first, last) - first)
        row = out[r]
        if bits == 8:
            row[:] = codes
        elif bits == 4:
            for k in range(length // 2):
                row[k] = codes[2 * k] | (codes[2 * k + 1] << np.uint8(4))
            if length % 2:
                row[length // 2] = codes[length - 1]
        else:
            row[:] = 0
            for i in range(length):
                place = i * bits
                word = np.uint16(codes[i]) << np.uint16(place % 8)
                row[place // 8] |= np.uint8(word & np.uint16(255))
                if place % 8 + bits > 8:
                    row[place // 8 + 1] |= np.uint8(word >> np.uint16(8))


@kernel
def _unpack(packed, bits, m, d, c, first, out):
    length = out.shape[1]
    for r in range(out.shape[0]):
        row, into = packed[r], out[r]
        offset, factor, shift = first + d[r], c[r], m[r]
        if bits == 8:
            for i in range(length):
                into[i] = (np.float64(row[i]) + offset) * factor + shift
        elif bits == 4:
            for k in range(length // 2):
                into[2 * k] = (np.float64(row[k] & np.uint8(15)) + offset) * factor + shift
                into[2 * k + 1] = (np.float64(row[k] >> np.uint8(4)) + offset) * factor + shift
            if length % 2:
                into[length - 1] = (np.float64(row[length // 2] & np.uint8(15)) + offset) * factor + shift
        else:
            mask = np.uint16((1 << bits) - 1)
            for i in range(length):
                place = i * bits
                word = np.uint16(row[place // 8])
                if place % 8 + bits > 8:
                    word |= np.uint16(row[place // 8 + 1]) << np.uint16(8)
                into[i] = (np.float64((word >> np.uint16(place % 8)) & mask) + offset) * factor + shift


@dataclass(frozen=True, eq=False)
class PackedRows(Decoded):
    """A matrix of ``shape`` in packed codes, uint8 [rows, bytes], and a range a row, float32 [rows, 1] twice."""

    shape: tuple[int, int]  # pyright: ignore[reportIncompatibleVariableOverride]
    format: GridFormat
    packed: Tensor
    low: Tensor
    high: Tensor

    def decode(self, first: int, last: int, into: Tensor) -> None:
        rows = slice(first, last)
        grid = self.format.make_grid(self.low[rows], self.high[rows], 1)
        m, _, d, c = _lines(grid)
        _unpack(self.packed[rows].numpy(), self.format.width, m, d, c, float(grid.first), into.numpy())

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return sum(part.numel() * part.element_size() for part in (self.packed, self.low, self.high))


def row_bytes(width: int, bits: int) -> int:
    """Bytes of a packed row of ``width`` elements."""
    return -(-width * bits // 8)


def pack_rows(x: Tensor, format: GridFormat, rounding: Rounding) -> PackedRows | None:
    """x [rows, width], float32 on the CPU, packed, each row by its own least and largest value.

    ``format`` of at most 8 bits. None where a row's grid reaches beyond float32. Raises NonFiniteError for NaN or
    infinity.
    """
    x = x.detach().contiguous()
    low, high = torch.aminmax(x, dim=1, keepdim=True) if x.shape[1] else (x.new_zeros(len(x), 1),) * 2
    if not bool((torch.isfinite(low) & torch.isfinite(high)).all()):
        raise NonFiniteError(x)
    grid = format.make_grid(low, high, 1)
    if not fits_float32(grid):
        return None
    rows, width = x.shape
    packed = torch.empty(rows, row_bytes(width, format.width), dtype=torch.uint8)
    floor, key = rounding.kernel_arguments
    m, divisor, d, _ = _lines(grid)
    source, out, ends = x.numpy(), packed.numpy(), (float(grid.first), float(grid.last))

    def work(a: int, z: int) -> None:
        part = slice(a, z)
        _pack(source[part], a * width, format.width, m[part], divisor[part], d[part], *ends, floor, key, out[part])

    split(rows, x.numel(), work)
    return PackedRows((rows, width), format, packed, low, high)


def _lines(grid: Grid) -> tuple[np.ndarray, ...]:
    return tuple(value.reshape(-1).numpy() for value in (grid.m, grid.divisor, grid.d, grid.c))
