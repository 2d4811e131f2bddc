"""numba kernels of the block formats; engine.kernels.blocks holds the definition and the plain form.

Exponents come from the floats' own exponent fields. All arithmetic is float64, where scaling by the
powers of two at hand is exact, so that both forms give the same bits.
"""

from __future__ import annotations

import numpy as np

from engine.kernels.blocks_single import round_line_single, spread_single
from engine.kernels.box_vectors import largest_of_columns, largest_of_sixteen, repeat_row
from engine.kernels.jit import kernel
from engine.kernels.rounding import SEGMENT, clamp, fill_uniform, round_code

MAGNITUDE = np.int32(0x7FFFFFFF)
FIELD = np.int64(0x7FF0000000000000)
"""Exponent field of a float64."""
RECIPROCAL = np.int64(2046 << 52)
"""Minus the bits of a power of two: the bits of its reciprocal."""
LEAST, MOST = -127, 127


@kernel
def power_of_two(exponent):
    """2^exponent as float64, by its bits; −1022 ≤ exponent ≤ 1023."""
    return np.int64((np.int64(exponent) + 1023) << 52).view(np.float64)


@kernel
def scale_exponent(worst, emax, thesis):
    """A box's scale exponent from the bits of its largest magnitude (a float32's, as int32)."""
    if thesis is not None:
        worst = max(np.int32(0), worst - np.int32(1))
    return min(max((worst >> 23) - 127 - emax, LEAST), MOST)


@kernel
def round_element(v, u, i, floor, least, drop, maximum):
    """v rounded to a small float: ``least`` and ``drop`` are 2^emin and the mantissa's bits, as exponent fields."""
    quantum = max(np.float64(v).view(np.int64) & FIELD, least) - drop
    code = round_code(v * np.int64(RECIPROCAL - quantum).view(np.float64), u, i, floor)
    return clamp(code * np.int64(quantum).view(np.float64), -maximum, maximum)


@kernel
def _round_line(x, out, u, scale, maximum, zero, least, drop, floor):
    # Dividing by a power of two is exact, and spares a second array of steps.
    for i in range(x.size):
        if least is None:
            code = round_code(np.float64(x[i]) * scale[i], u, i, floor)
            out[i] = clamp(code, -maximum, maximum) / scale[i] + zero
        else:
            out[i] = round_element(np.float64(x[i]) * scale[i], u, i, floor, least, drop, maximum) / scale[i]


@kernel
def _largest_of_boxes(bits, worst, box):
    """The largest magnitude's bits of each box of a row, the last one perhaps short."""
    whole = bits.size // box
    if box % 16 == 0:
        for k in range(whole):
            largest = largest_of_sixteen(bits, k * box)
            for place in range(k * box + 16, (k + 1) * box, 16):
                sixteen = largest_of_sixteen(bits, place)
                largest = sixteen if sixteen > largest else largest
            worst[k] = largest
    else:
        _largest_of_any(bits[: whole * box].reshape((whole, box)), worst)
    if whole * box < bits.size:
        largest = np.int32(0)
        for i in range(whole * box, bits.size):
            largest = max(largest, np.int32(bits[i] & MAGNITUDE))
        worst[whole] = largest


@kernel
def _largest_of_any(bits, worst):
    """bits [boxes, box]. Four boxes at a time: their chains of comparisons do not wait for each other."""
    count, box = bits.shape
    for k in range(0, count - 3, 4):
        one, two, three, four = np.int32(0), np.int32(0), np.int32(0), np.int32(0)
        for i in range(box):
            one = max(one, np.int32(bits[k, i] & MAGNITUDE))
            two = max(two, np.int32(bits[k + 1, i] & MAGNITUDE))
            three = max(three, np.int32(bits[k + 2, i] & MAGNITUDE))
            four = max(four, np.int32(bits[k + 3, i] & MAGNITUDE))
        worst[k], worst[k + 1], worst[k + 2], worst[k + 3] = one, two, three, four
    for k in range(count // 4 * 4, count):
        largest = np.int32(0)
        for i in range(box):
            largest = max(largest, np.int32(bits[k, i] & MAGNITUDE))
        worst[k] = largest


@kernel
def _set_scales(worst, scale, emax, steps, thesis):
    """Fills scale, 1/step, from each box's largest magnitude; returns the largest of all."""
    largest = np.int32(0)
    for k in range(worst.size):
        largest = max(largest, worst[k])
        # A box of zeros needs no scale: 1 keeps its segment among float32's.
        exponent = steps - scale_exponent(worst[k], emax, thesis) if worst[k] > 0 else np.int64(0)
        scale[k] = power_of_two(exponent)
    return largest


@kernel
def _spread(scale, box, spread):
    """spread[i] = scale[i // box]."""
    for k in range(scale.size):
        for j in range(box):
            spread[k * box + j] = scale[k]


@kernel
def quantize_boxes(x, bits, out, start, box, emax, steps, maximum, zero, least, drop, thesis, floor, key, single):
    """Boxes along the last axis of x [rows, length]; returns the bits of the largest magnitude.

    ``single``: maximum, zero, least and drop for float32, and the bits of how near to an integer its sums are trusted.
    """
    largest = np.int32(0)
    rows, length = x.shape
    boxes = (length + box - 1) // box
    # Scales of up to a thousand boxes at a time, spread over short segments that stay in the first-level cache.
    most, some = min(boxes, 1024), min(boxes, max(SEGMENT // box, 1))
    worst, scale = np.empty(most, np.int32), np.empty(most, np.float64)
    wide, narrow, u = (
        np.empty(some * box, np.float64),
        np.empty(some * box, np.float32),
        np.empty(some * box, np.float32),
    )
    maximum_single, zero_single, least_single, drop_single, touch = single
    for r in range(rows):
        row, field, into = x[r], bits[r], out[r]
        for first in range(0, boxes, most):
            count = min(most, boxes - first)
            _largest_of_boxes(field[first * box : min((first + count) * box, length)], worst, box)
            largest = max(largest, _set_scales(worst[:count], scale, emax, steps, thesis))
            for k in range(0, count, some):
                a, z = (first + k) * box, min((first + min(k + some, count)) * box, length)
                part, target, scales = row[a:z], into[a:z], scale[k : min(k + some, count)]
                sure = floor is None and spread_single(scales, box, narrow)
                if key is None:
                    if sure:
                        round_line_single(
                            part, target, None, narrow, maximum_single, zero_single, least_single, drop_single
                        )
                    else:
                        _spread(scales, box, wide)
                        _round_line(part, target, None, wide, maximum, zero, least, drop, floor)
                else:
                    fill_uniform(u[: z - a], start + r * length + a, key)
                    if sure:
                        near = round_line_single(
                            part, target, u, narrow, maximum_single, zero_single, least_single, drop_single
                        )
                        sure = near > touch
                    if not sure:
                        _spread(scales, box, wide)
                        _round_line(part, target, u, wide, maximum, zero, least, drop, floor)
    return largest


@kernel
def quantize_box_columns(x, bits, out, start, box, emax, steps, maximum, zero, least, drop, thesis, floor, key, single):
    """Boxes along the middle axis of x [outer, length, width], contiguous; returns the bits of the largest magnitude.

    ``single``: see ``quantize_boxes``.
    """
    largest = np.int32(0)
    outer, length, width = x.shape
    if x.size == 0:
        return largest
    x, bits, out = x.reshape(x.size), bits.reshape(x.size), out.reshape(x.size)
    worst, scale = np.empty(width, np.int32), np.empty(width, np.float64)
    # As many rows at a time as keep a segment in the first-level cache: they have the same scales.
    some = max(min(box, length, SEGMENT // width), 1)
    wide, narrow, u = (
        np.empty(some * width, np.float64),
        np.empty(some * width, np.float32),
        np.empty(some * width, np.float32),
    )
    maximum_single, zero_single, least_single, drop_single, touch = single
    for o in range(outer):
        for a in range(o * length, (o + 1) * length, box):
            z = min(a + box, (o + 1) * length)
            largest_of_columns(bits, width, a, z, worst)
            largest = max(largest, _set_scales(worst, scale, emax, steps, thesis))
            fits = floor is None and spread_single(scale, 1, narrow)
            if fits:
                repeat_row(narrow, width, some)
            spread_wide = False
            for r in range(a, z, some):
                begin, end = r * width, min(r + some, z) * width
                part, target = x[begin:end], out[begin:end]
                sure = fits
                if key is not None:
                    fill_uniform(u[: end - begin], start + begin, key)
                if sure and key is None:
                    round_line_single(
                        part, target, None, narrow, maximum_single, zero_single, least_single, drop_single
                    )
                elif sure:
                    near = round_line_single(
                        part, target, u, narrow, maximum_single, zero_single, least_single, drop_single
                    )
                    sure = near > touch
                if not sure:
                    if not spread_wide:
                        _spread(scale, 1, wide)
                        repeat_row(wide, width, some)
                        spread_wide = True
                    if key is None:
                        _round_line(part, target, None, wide, maximum, zero, least, drop, floor)
                    else:
                        _round_line(part, target, u, wide, maximum, zero, least, drop, floor)
    return largest


@kernel
def count_clamped(x, bits, box, emax, steps, maximum, thesis):
    """How many elements of boxes of integers along the middle axis of x [outer, length, width] are clamped, rounded to
    nearest."""
    outer, length, width = x.shape
    worst = np.empty(width, np.int32)
    scale = np.empty(width, np.float64)
    count = 0
    for o in range(outer):
        for a in range(0, length, box):
            z = min(a + box, length)
            worst[:] = 0
            for r in range(a, z):
                for i in range(width):
                    worst[i] = max(worst[i], np.int32(bits[o, r, i] & MAGNITUDE))
            _set_scales(worst, scale, emax, steps, thesis)
            for r in range(a, z):
                for i in range(width):
                    count += abs(np.rint(np.float64(x[o, r, i]) * scale[i])) > maximum
    return count


@kernel
def _elements(x, out, u, maximum, least, drop, floor):
    for i in range(x.size):
        out[i] = round_element(np.float64(x[i]), u, i, floor, least, drop, maximum)


@kernel
def quantize_elements(x, bits, out, start, maximum, least, drop, floor, key):
    """Every element rounded to a small float, without a scale; returns the bits of the largest magnitude."""
    worst = np.int32(0)
    for i in range(x.size):
        worst = max(worst, bits[i] & MAGNITUDE)
    if key is None:
        _elements(x, out, None, maximum, least, drop, floor)
        return worst
    u = np.empty(SEGMENT, np.float32)
    for begin in range(0, x.size, SEGMENT):
        end = min(begin + SEGMENT, x.size)
        fill_uniform(u[: end - begin], start + begin, key)
        _elements(x[begin:end], out[begin:end], u, maximum, least, drop, floor)
    return worst
