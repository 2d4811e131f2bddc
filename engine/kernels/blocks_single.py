"""Segments of boxes in float32, half the work of blocks_cpu's float64, with the same bits.

Scaling by the powers of two at hand is exact in float32 too, as long as scale and step are normal numbers, which
the caller sees to; what underflows rounds to a zero of the same sign either way. Stochastic rounding adds u,
which float32 rounds: where a sum comes within a margin of an integer, the caller does the segment again.
"""

from __future__ import annotations

import numpy as np

from engine.kernels.box_vectors import fill_sixteen
from engine.kernels.jit import kernel
from engine.kernels.rounding import clamp

FIELD = np.int32(0x7F800000)
"""Exponent field of a float32."""
RECIPROCAL = np.int32(254 << 23)
"""Minus the bits of a power of two: the bits of its reciprocal."""
MAGNITUDE = np.int32(0x7FFFFFFF)
LARGEST_EXPONENT = 126
"""Powers of two up to here, and their reciprocals, are normal."""


@kernel
def spread_single(scale, box, spread):
    """spread[i] = scale[i // box]; returns whether every scale, and its reciprocal, is a normal float32."""
    least, most = np.int32(MAGNITUDE), np.int32(0)
    for k in range(scale.size):
        value = np.float32(scale[k])
        exponent = np.int32(value.view(np.int32) >> 23)
        least, most = min(least, exponent), max(most, exponent)
        if box % 16 == 0:
            for place in range(k * box, (k + 1) * box, 16):
                fill_sixteen(spread, place, value)
        else:
            for j in range(box):
                spread[k * box + j] = value
    return least - 127 >= -LARGEST_EXPONENT and most - 127 <= LARGEST_EXPONENT


@kernel
def round_line_single(x, out, u, scale, maximum, zero, least, drop):
    """Returns the bits of the least distance of a sum with u from an integer (nearest rounding: nothing)."""
    near = MAGNITUDE
    for i in range(x.size):
        quantum = np.int32(0)
        t = np.float32(x[i] * scale[i])
        if least is not None:
            quantum = np.int32(max(np.int32(t.view(np.int32) & FIELD), least) - drop)
            t = np.float32(t * np.int32(RECIPROCAL - quantum).view(np.float32))
        if u is None:
            code = np.float32(np.rint(t))
        else:
            s = np.float32(t + u[i])
            code = np.float32(np.rint(s))
            near = min(near, np.int32(np.float32(s - code).view(np.int32) & MAGNITUDE))
            code = np.float32(code - np.float32(1)) if code > s else code
        if least is not None:
            code = np.float32(code * np.int32(quantum).view(np.float32))
        out[i] = np.float32(clamp(code, -maximum, maximum) / scale[i]) + zero
    return near
