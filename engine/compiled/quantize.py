"""Fake-quantization inside compiled code: a row of a table says how, and the kernels are the plain path's own.

From a tensor to its grid is arithmetic of a few numbers, which engine.formats does in Python; here it is written once
more, in the same order, and tests compare the two bit for bit. Where a tensor holds NaN or infinity, or a grid's ends
are too large for float32, nothing is quantized and False is returned: the plain path then says what is wrong.
"""

from __future__ import annotations

import math

import numpy as np

from engine.compiled.tables import (
    ACROSS,
    BLOCKS,
    BOX,
    EMAX,
    FIRST,
    KIND,
    LAST,
    MAXIMUM,
    STEPS,
    STOCHASTIC,
    STREAM,
    SYMMETRIC,
    TOUCH,
    ZERO,
)
from engine.kernels.blocks_cpu import quantize_box_columns, quantize_boxes
from engine.kernels.finite import INFINITE
from engine.kernels.grid_cpu import quantize_flat
from engine.kernels.grid_narrow import HIGH_BITS, quantize_flat_narrow
from engine.kernels.hashing import splitmix
from engine.kernels.jit import kernel

MAGNITUDE = np.int32(0x7FFFFFFF)
LARGEST = float(np.finfo(np.float32).max)
_32 = np.uint64(32)


@kernel
def draw_key(seed, stream, step):
    """engine.randomness.make_key: the two uint32 keys of a draw."""
    state = splitmix(np.uint64(seed), 1)
    state = splitmix(state ^ np.uint64(stream), 1)
    state = splitmix(state ^ np.uint64(step), 1)
    return np.uint32(state >> _32), np.uint32(state & np.uint64(0xFFFFFFFF))


@kernel
def extremes(x):
    """(least, largest, whether all are finite) of x, float32. By the order of the bits: integers' loops vectorize."""
    bits = x.view(np.int32)
    low, high = MAGNITUDE, np.int32(-(2**31))
    for i in range(bits.size):
        # Sums and shifts of int32 are int64 to numba, of which a vector holds half as many.
        ordered = np.int32(bits[i] ^ np.int32(np.int32(bits[i] >> np.int32(31)) & MAGNITUDE))
        low = ordered if ordered < low else low
        high = ordered if ordered > high else high
    ends = np.empty(2, np.int32)
    ends[0] = low ^ ((low >> np.int32(31)) & MAGNITUDE)
    ends[1] = high ^ ((high >> np.int32(31)) & MAGNITUDE)
    values = ends.view(np.float32)
    return values[0], values[1], (ends[0] & MAGNITUDE) < INFINITE and (ends[1] & MAGNITUDE) < INFINITE


@kernel
def grid_of(kind, low, high, first, last):
    """(m, divisor, d, c) of the range low…high in float64: Affine's or Symmetric's ``make_grid``."""
    if kind == SYMMETRIC:
        high = max(abs(low), abs(high))
        low = -high
    else:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        return low, math.inf, 0.0, 0.0
    if kind == SYMMETRIC:
        c, d = high / last, 0.0
    else:
        c, d = (high - low) / (last - first), np.rint((low * last - high * first) / (high - low))
    return 0.0, c, d, c


@kernel
def split_step(d, c, first, last):
    """(whether the grid is narrow, inverse, least k, most k, c_high, c_low, margin): grid_narrow.narrow_settings."""
    least, most = first + d, last + d
    reach = max(abs(least), abs(most))
    fits = last - first <= 255 and 1e-30 < c < 1e30 and reach <= 255
    if not fits:
        c = 1.0
    fraction, exponent = math.frexp(c)
    high = math.ldexp(math.floor(fraction * 2.0**HIGH_BITS), exponent - HIGH_BITS)
    return (
        fits,
        np.float32(1 / c),
        np.float32(least),
        np.float32(most),
        np.float32(high),
        np.float32(c - high),
        np.float32((reach + 2) * 2.0**-22),
    )


@kernel
def _quantize_grid(x, out, kind, stochastic, key, first, last):
    low, high, finite = extremes(x)
    if not finite:
        return False
    m, divisor, d, c = grid_of(kind, np.float64(low), np.float64(high), first, last)
    if max(abs((first + d) * c + m), abs((last + d) * c + m)) > LARGEST:
        return False
    narrow, inverse, least, most, c_high, c_low, margin = split_step(d, c, first, last)
    if narrow and m == 0.0:
        settings = (d, c, first, last, inverse, least, most, c_high, c_low, margin)
        if stochastic:
            quantize_flat_narrow(x, None, out, 0, *settings, key)
        else:
            quantize_flat_narrow(x, None, out, 0, *settings, None)
    elif stochastic:
        quantize_flat(x, None, out, 0, m, divisor, d, c, first, last, None, key)
    else:
        quantize_flat(x, None, out, 0, m, divisor, d, c, first, last, None, None)
    return True


@kernel
def _quantize_rows(x, out, stochastic, key, whole, real):
    """Boxes along the last axis."""
    box = min(whole[BOX], x.shape[1])
    if x.shape[1] % box == 0:  # no box crosses a row's end: one long row costs least
        x, out = x.reshape((1, x.size)), out.reshape((1, out.size))
    element = (whole[STEPS], real[MAXIMUM], real[ZERO], None, None, None, None)
    single = (np.float32(real[MAXIMUM]), np.float32(real[ZERO]), None, None, np.int32(whole[TOUCH]))
    if stochastic:
        return quantize_boxes(x, x.view(np.int32), out, 0, box, whole[EMAX], *element, key, single)
    return quantize_boxes(x, x.view(np.int32), out, 0, box, whole[EMAX], *element, None, single)


@kernel
def _quantize_columns(x, out, stochastic, key, whole, real):
    """Boxes along the first axis."""
    shape = (1, x.shape[0], x.shape[1])
    x, out = x.reshape(shape), out.reshape(shape)
    element = (whole[STEPS], real[MAXIMUM], real[ZERO], None, None, None, None)
    single = (np.float32(real[MAXIMUM]), np.float32(real[ZERO]), None, None, np.int32(whole[TOUCH]))
    if stochastic:
        return quantize_box_columns(x, x.view(np.int32), out, 0, whole[BOX], whole[EMAX], *element, key, single)
    return quantize_box_columns(x, x.view(np.int32), out, 0, whole[BOX], whole[EMAX], *element, None, single)


@kernel
def quantize(x, out, axis, number, whole, real, draws, seed):
    """out = x̂ of x [rows, columns], both contiguous, by the quantizer ``number``; whether x was fit for it.

    ``axis``: 0 or 1, along which boxes lie. A stochastic quantizer's count of ``draws`` goes up by one.
    """
    mine = whole[number]
    stochastic = mine[STOCHASTIC] != 0
    key = (np.uint32(0), np.uint32(0))
    if stochastic:
        key = draw_key(seed, mine[STREAM], draws[number])
        draws[number] += 1
    if mine[KIND] != BLOCKS:
        first, last = np.float64(mine[FIRST]), np.float64(mine[LAST])
        return _quantize_grid(x.reshape(x.size), out.reshape(out.size), mine[KIND], stochastic, key, first, last)
    if axis == ACROSS:
        return _quantize_rows(x, out, stochastic, key, mine, real[number]) < INFINITE
    return _quantize_columns(x, out, stochastic, key, mine, real[number]) < INFINITE
