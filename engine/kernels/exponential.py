"""e^x of many float32 values in loops that vectorize, where libm's is a call an element."""

from __future__ import annotations

import math

import numpy as np

from engine.kernels.jit import kernel

LEAST = -87.0
"""Below it e^x is taken for e^−87 = 1.6e−38: about the smallest float32 that is no denormal."""
SEGMENT = 512
_PER_OCTAVE, _OCTAVE = 1 / math.log(2), math.log(2)
_2, _3, _4, _5, _6, _7, _8, _9 = (1 / math.factorial(n) for n in range(2, 10))
_WHOLE = 1.5 * 2**52
"""Added to a small float64 it leaves the nearest whole number, as the last bits of the sum."""
_BIAS, _MANTISSA = 1023 - int(np.array(_WHOLE).view(np.int64)), 52


@kernel
def exponential(x):
    """x = e^x in place; x flat float32, at most 88. Rounded to the nearest from ``LEAST`` on, but for one in some ten
    thousand that lies as good as between two. NaN stays.

    In float64: e^x = 2^n·e^r with n the nearest whole number to x/ln 2, so that |r| ≤ ln 2 / 2, where e^r's Taylor sum
    to r^9 is within 1e−11.
    """
    powers = np.empty(SEGMENT, np.float64)
    bits, sums = powers.view(np.int64), np.empty(SEGMENT, np.float64)
    for first in range(0, x.size, SEGMENT):
        part = x[first : first + SEGMENT]
        for i in range(part.size):
            value = np.float64(part[i])
            value = LEAST if value < LEAST else value
            whole = value * _PER_OCTAVE + _WHOLE
            powers[i] = whole
            r = value - (whole - _WHOLE) * _OCTAVE
            total = _9 * r + _8
            total = total * r + _7
            total = total * r + _6
            total = total * r + _5
            total = total * r + _4
            total = total * r + _3
            total = total * r + _2
            sums[i] = (total * r + 1.0) * r + 1.0
        for i in range(part.size):
            bits[i] = (bits[i] + _BIAS) << _MANTISSA
        for i in range(part.size):
            part[i] = sums[i] * powers[i]
