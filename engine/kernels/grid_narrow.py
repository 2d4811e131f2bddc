"""Grids of at most 8 bits in float32, twice as fast as grid_cpu, with the same bits.

Codes: x·(1/c) in float32 is off by less than ``margin``. Where a value of a segment lies that near to a rounding
boundary, the segment is done again in float64. Results: k·c = k·c_high + k·c_low, the first product exact, the sum
rounded once; the kernel compares it with float64's result for each of the few k there are, and leaves
everything to float64 if one differs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.kernels.grid_cpu import MAGNITUDE, segment
from engine.kernels.jit import kernel
from engine.kernels.rounding import SEGMENT, clamp, fill_uniform

HIGH_BITS = 15
"""Significant bits of c_high, so that its product with a k of 8 bits and a sign is exact."""

ROUND = np.float32(1.5 * 2.0**23)
"""Added and taken away, it rounds what is below 2^22 to the nearest even integer, and makes −0 a +0."""
ONE = np.float32(1)


def narrow_settings(m: float, d: float, c: float, first: float, last: float) -> tuple[Any, ...] | None:
    """(inverse, least k, most k, c_high, c_low, margin) in float32; None where the grid is not of this kind."""
    if last - first > 255 or m != 0.0 or not d.is_integer() or not 1e-30 < c < 1e30:
        return None
    least, most = first + d, last + d
    if max(abs(least), abs(most)) > 255:
        return None
    fraction, exponent = math.frexp(c)
    high = math.ldexp(math.floor(fraction * 2.0**HIGH_BITS), exponent - HIGH_BITS)
    # 1/c, the product with x and the sum with u are each rounded once: 3·2^−24 of a value up to the largest k.
    margin = (max(abs(least), abs(most)) + 2) * 2.0**-22
    return tuple(np.float32(value) for value in (1 / c, least, most, high, c - high, margin))


@kernel
def is_exact(least, most, c, c_high, c_low):
    """Whether float32's k·c is float64's for every k from ``least`` to ``most``."""
    for i in range(np.int64(least), np.int64(most) + 1):
        k = np.float32(i)
        if np.float32(np.float32(k * c_high) + np.float32(k * c_low)) != np.float32(np.float64(i) * c):
            return False
    return True


@kernel
def _nearest(x, out, inverse, least, most, c_high, c_low):
    """Returns the bits of the largest distance from an integer; NaN's are the largest of all."""
    farthest = np.int32(0)
    for i in range(x.size):
        q = clamp(np.float32(x[i] * inverse), least, most)
        k = np.float32(np.float32(q + ROUND) - ROUND)
        farthest = max(farthest, np.int32(np.float32(q - k).view(np.int32) & MAGNITUDE))
        out[i] = np.float32(np.float32(k * c_high) + np.float32(k * c_low))
    return farthest


@kernel
def _stochastic(x, out, u, inverse, least, most, c_high, c_low):
    """Returns the bits of the least distance from an integer."""
    nearest = MAGNITUDE
    for i in range(x.size):
        s = np.float32(np.float32(x[i] * inverse) + u[i])
        t = np.float32(np.float32(s + ROUND) - ROUND)
        nearest = min(nearest, np.int32(np.float32(s - t).view(np.int32) & MAGNITUDE))
        k = clamp(np.float32(t - ONE) if t > s else t, least, most)
        out[i] = np.float32(np.float32(k * c_high) + np.float32(k * c_low))
    return nearest


@kernel
def _largest(bits):
    worst = np.int32(0)
    for i in range(bits.size):
        worst = max(worst, bits[i] & MAGNITUDE)
    return worst


@kernel
def quantize_flat_narrow(x, bits, out, start, d, c, first, last, inverse, least, most, c_high, c_low, margin, key):
    """As grid_cpu.quantize_flat with m = 0, nearest or stochastic."""
    worst = np.int32(0)
    exact = is_exact(least, most, c, c_high, c_low)
    u = np.empty(SEGMENT, np.float32)
    edge = np.float32(np.float32(0.5) - margin).view(np.int32)
    touch = np.float32(margin).view(np.int32)
    for begin in range(0, x.size, SEGMENT):
        end = min(begin + SEGMENT, x.size)
        row, into = x[begin:end], out[begin:end]
        if key is None:
            sure = exact and _nearest(row, into, inverse, least, most, c_high, c_low) < edge
            if not sure:
                segment(row, None, into, None, 0.0, c, d, c, first, last, None)
        else:
            fill_uniform(u[: end - begin], start + begin, key)
            sure = exact and _stochastic(row, into, u, inverse, least, most, c_high, c_low) > touch
            if not sure:
                segment(row, None, into, u, 0.0, c, d, c, first, last, None)
        if bits is not None:
            worst = max(worst, _largest(bits[begin:end]))
    return worst
