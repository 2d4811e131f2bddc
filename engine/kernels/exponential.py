"""e^x of many float32 values in loops that vectorize, where libm's is a call an element."""

from __future__ import annotations

import math

import numpy as np

from engine.kernels.jit import kernel

LEAST = np.float32(-87)
"""Below it e^x is taken for e^−87 = 1.6e−38: about the smallest that is no denormal."""
SEGMENT = 512
_PER_OCTAVE = np.float32(1 / math.log(2))
# ln 2 in two parts, the first of so few bits that its product with any exponent is exact.
_HIGH = np.float32(0.693359375)
_LOW = np.float32(math.log(2) - 0.693359375)
_2, _3, _4, _5, _6, _7 = (np.float32(1 / math.factorial(n)) for n in range(2, 8))
_ONE = np.float32(1)
_WHOLE = np.float32(1.5 * 2**23)
"""Added to a small float32 it leaves the nearest whole number, as the last bits of the sum."""
_BIAS, _MANTISSA = np.int32(127 - int(np.array(_WHOLE).view(np.int32))), np.int32(23)


@kernel
def exponential(x):
    """x = e^x in place; x flat, at most 88; within 2 units in the last place from ``LEAST`` on. NaN stays.

    e^x = 2^n·e^r with n the nearest whole number to x/ln 2, so that |r| ≤ ln 2 / 2, where e^r's Taylor sum to r^7 is
    within 1e−8.
    """
    powers = np.empty(SEGMENT, np.float32)
    bits = powers.view(np.int32)
    for first in range(0, x.size, SEGMENT):
        part = x[first : first + SEGMENT]
        for i in range(part.size):
            value = part[i]
            value = LEAST if value < LEAST else value
            whole = value * _PER_OCTAVE + _WHOLE
            powers[i] = whole
            n = whole - _WHOLE
            r = (value - n * _HIGH) - n * _LOW
            total = _7 * r + _6
            total = total * r + _5
            total = total * r + _4
            total = total * r + _3
            total = total * r + _2
            part[i] = (total * r + _ONE) * r + _ONE
        for i in range(part.size):
            bits[i] = np.int32(np.int32(bits[i] + _BIAS) << _MANTISSA)
        for i in range(part.size):
            part[i] *= powers[i]
