"""A large quantized constant in its source's own memory: it is decoded some rows at a time, within the products.

The features of a dense dataset are the largest tensor of a small model's training. Their quantized values in a tensor
of their own double it. Here they take the place of the values that they came from:

    grids of up to 8 bits   a byte an element, by rows in the first quarter of the memory, by columns in the second
    blocks                  a word an element: the upper half is the value in boxes along the columns, the lower half
                            the one in boxes along the rows (values of up to 8 significant bits are bfloat16's)

What is decoded is what fake-quantization gives, bit for bit. Only the order of a gradient's sum over rows is another;
with a tensor that lies on a grid itself the products are exact, in integers (engine.kernels.coded_products).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.kernels.coded_products import multiply_codes, transpose
from engine.kernels.dropout import drop_in_place
from engine.kernels.finite import check_bits
from engine.kernels.grid import Grid, fits_float32
from engine.kernels.grid_cpu import MAGNITUDE
from engine.kernels.jit import kernel
from engine.kernels.rounding import SEGMENT, clamp
from engine.kernels.threads import split
from engine.randomness import Key

MOST = 255
"""The largest integer of an 8-bit grid, whose zero lies at one of its ends."""
LEAST_ROWS, MOST_ROWS = 64, 512
"""Rows that are decoded at a time: enough for a dense product, and within a cache."""
STRIP = 64
"""Rows that are blocked at a time, about."""


@kernel
def _encode(x, bits, out, m, divisor, d, first, last):
    """out[i] = code − first − 128 of x[i]. ``out`` may lie in x's own memory, from its first byte on: a segment is read
    before its codes are written, which end before the next segment begins."""
    worst = np.int32(0)
    codes = np.empty(SEGMENT, np.int8)
    for begin in range(0, x.size, SEGMENT):
        end = min(begin + SEGMENT, x.size)
        for i in range(begin, end):
            worst = max(worst, bits[i] & MAGNITUDE)
            code = np.rint((np.float64(x[i]) - m) / divisor - d)
            codes[i - begin] = np.int8(clamp(code, first, last) - first - 128)
        out[begin:end] = codes[: end - begin]
    return worst


@kernel
def _decode(codes, out, m, d, c, first):
    for i in range(codes.size):
        out[i] = ((np.float64(codes[i]) + (first + 128)) + d) * c + m


@kernel
def _decode_upper(words, out):
    for i in range(words.size):
        out[i] = words[i] & np.int32(-65536)


@kernel
def _decode_lower(words, out):
    for i in range(words.size):
        out[i] = words[i] << np.int32(16)


@kernel
def _pair(upper, lower, out):
    """out = upper's first 16 bits, then lower's; gives the bits of either that are lost."""
    lost = np.int32(0)
    for i in range(out.size):
        lost |= (upper[i] | lower[i]) & np.int32(65535)
        out[i] = (upper[i] & np.int32(-65536)) | ((lower[i] >> np.int32(16)) & np.int32(65535))
    return lost


class Decoded(ABC):
    """A matrix [rows, inputs] that is decoded row by row."""

    shape: tuple[int, int]

    @abstractmethod
    def decode(self, first: int, last: int, into: Tensor) -> None:
        """The values of some rows, float32 [last − first, inputs]."""

    def dense(self) -> Tensor:
        """All of the values, in a new tensor."""
        out = torch.empty(self.shape)
        rows, inputs = self.shape
        split(rows, rows * inputs, lambda first, last: self.decode(first, last, out[first:last]))
        return out

    def take(self, rows: Tensor) -> Tensor:
        """Some rows' values [rows, inputs]."""
        out = torch.empty(rows.numel(), self.shape[1])
        for place, row in enumerate(rows.tolist()):
            self.decode(row, row + 1, out[place : place + 1])
        return out

    def drop(self, rate: float, key: Key) -> Dropped:
        """The values after dropout, which falls on the rows that are decoded."""
        return Dropped(self, rate, key)

    def multiply(self, kernel: Tensor) -> Tensor:
        """X·Wᵀ for W [outputs, inputs] → [rows, outputs]."""
        out = torch.empty(self.shape[0], kernel.shape[0])
        for rows, values in self._parts():
            torch.mm(values, kernel.t(), out=out[rows])
        return out

    def multiply_gradient(self, gradient: Tensor) -> Tensor:
        """dYᵀ·X for dY [rows, outputs] → [outputs, inputs]."""
        out = torch.zeros(gradient.shape[1], self.shape[1])
        for rows, values in self._parts():
            out.addmm_(gradient[rows].t(), values)
        return out

    def _parts(self) -> Iterator[tuple[slice, Tensor]]:
        rows, scratch = self.shape[0], self._scratch()
        size = scratch.shape[0]
        for first in range(0, rows, size):
            last = min(first + size, rows)
            values = scratch[: last - first]
            split(last - first, values.numel(), self._decoder(first, values))
            yield slice(first, last), values

    def _scratch(self) -> Tensor:
        """Where some rows are decoded: small beside the matrix."""
        rows, inputs = self.shape
        return torch.empty(min(rows, MOST_ROWS, max(rows // 21, LEAST_ROWS)), inputs)

    def _decoder(self, begin: int, values: Tensor) -> Callable[[int, int], None]:
        return lambda a, z: self.decode(begin + a, begin + z, values[a:z])


@dataclass(frozen=True, eq=False)
class Dropped(Decoded):
    """What dropout leaves of a matrix."""

    source: Decoded
    rate: float
    key: Key

    @property
    def shape(self) -> tuple[int, int]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.source.shape

    def decode(self, first: int, last: int, into: Tensor) -> None:
        self.source.decode(first, last, into)
        drop_in_place(into, first * self.shape[1], self.rate, self.key)

    def _scratch(self) -> Tensor:
        return self.source._scratch()


@dataclass(frozen=True, eq=False)
class CodedOperand(Decoded):
    """One grid's codes, int8: x̂ = c·(code + 128 + first + d) + m."""

    codes: Tensor
    """[rows, inputs]"""
    transposed: Tensor
    """[inputs, rows]"""
    grid: Grid
    spare: Tensor
    """The rest of the memory, float32, where it is the run's own: rows are decoded there. Else empty."""

    @property
    def shape(self) -> tuple[int, int]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.codes.shape[0], self.codes.shape[1]

    def multiply(self, kernel: Tensor, step: float | None = None) -> Tensor:
        """X·Wᵀ for W [outputs, inputs] → [rows, outputs]; exact where W = step·integers."""
        found = self._multiply_integers(self.codes, kernel.t(), step)
        return super().multiply(kernel) if found is None else found

    def multiply_gradient(self, gradient: Tensor, step: float | None = None) -> Tensor:
        """dYᵀ·X for dY [rows, outputs] → [outputs, inputs]; exact where dY = step·integers."""
        found = self._multiply_integers(self.transposed, gradient, step)
        return super().multiply_gradient(gradient) if found is None else found.t()

    def _multiply_integers(self, codes: Tensor, values: Tensor, step: float | None) -> Tensor | None:
        grid = self.grid
        if not step or not grid.c or grid.m or not float(grid.d).is_integer():
            return None
        first, last = int(grid.first + grid.d), int(grid.last + grid.d)
        if max(abs(first), abs(last)) > MOST:
            return None
        return multiply_codes(codes, 128 + first, max(abs(first), abs(last)), float(grid.c), values, step)

    def _scratch(self) -> Tensor:
        rows, inputs = self.shape
        size = min(MOST_ROWS, rows, self.spare.numel() // max(inputs, 1))
        return self.spare[: size * inputs].view(size, inputs) if size >= min(rows, LEAST_ROWS) else super()._scratch()

    def decode(self, first: int, last: int, into: Tensor) -> None:
        grid = self.grid
        values = float(grid.m), float(grid.d), float(grid.c), float(grid.first)
        _decode(self.codes[first:last].view(-1).numpy(), into.view(-1).numpy(), *values)


@dataclass(frozen=True, eq=False)
class PairedOperand(Decoded):
    """One of the two matrices that words, int32 [rows, inputs], hold."""

    words: Tensor
    upper: bool

    @property
    def shape(self) -> tuple[int, int]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.words.shape[0], self.words.shape[1]

    def decode(self, first: int, last: int, into: Tensor) -> None:
        work = _decode_upper if self.upper else _decode_lower
        work(self.words[first:last].view(-1).numpy(), into.view(torch.int32).view(-1).numpy())


def takes_codes(x: Tensor, grid: Grid) -> bool:
    """Whether x can hold its own codes on this grid."""
    return is_plain(x) and not grid.many and grid.last - grid.first <= 255 and fits_float32(grid)


def is_plain(x: Tensor) -> bool:
    """Whether x is a float32 matrix on the CPU whose rows lie one after the other."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and x.dim() == 2 and x.is_contiguous()


def encode_in_place(x: Tensor, grid: Grid, *, shared: bool = False) -> CodedOperand:
    """x [rows, inputs] as its codes, rounded to the nearest, in x's memory: the values of x are gone.

    ``shared``: several threads may multiply by it at a time, so that its memory is no room to decode in. Raises
    NonFiniteError where x holds NaN or infinity.
    """
    size = x.numel()
    memory = x.view(-1).view(torch.int8)
    codes, transposed, spare = memory[:size], memory[size : 2 * size], x.view(-1)[-(-size // 2) :]
    values = float(grid.m), float(grid.divisor), float(grid.d), float(grid.first), float(grid.last)
    flat = x.view(-1).numpy()
    check_bits(_encode(flat, flat.view(np.int32), codes.numpy(), *values), x)
    room = spare[:0] if shared else spare
    found = CodedOperand(codes.view(x.shape), transposed.view(x.shape[1], x.shape[0]), grid, room)
    transpose(found.codes.numpy(), found.transposed.numpy())
    return found


def pair_in_place(
    x: Tensor, along_columns: Callable[[Tensor], Tensor], along_rows: Callable[[Tensor], Tensor], box: int
) -> tuple[PairedOperand, PairedOperand] | None:
    """The two forms of x [rows, inputs], in x's memory; each function quantizes whole boxes of rows for themselves.

    None where a value has more bits than half a word holds; the values of x are then gone all the same.
    """
    words, size = x.view(torch.int32), -(-STRIP // box) * box
    for first in range(0, x.shape[0], size):
        strip = x[first : first + size]
        halves = [form(strip).view(-1).view(torch.int32).numpy() for form in (along_columns, along_rows)]
        if _pair(*halves, words[first : first + size].view(-1).numpy()):
            return None
    return PairedOperand(words, True), PairedOperand(words, False)
