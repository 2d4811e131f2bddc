"""numba kernels of the evenly spaced grids; engine.kernels.grid holds the definition and the plain form.

All arithmetic is float64 in the order of the plain form, so that both give the same bits. Each kernel
returns the bits of the largest magnitude where ``bits`` (x seen as int32) is given, else 0.
"""

from __future__ import annotations

import numpy as np

from engine.kernels.jit import kernel
from engine.kernels.rounding import SEGMENT, clamp, fill_uniform, round_code

MAGNITUDE = np.int32(0x7FFFFFFF)


@kernel
def segment(x, bits, out, u, m, divisor, d, c, first, last, floor):
    worst = np.int32(0)
    for i in range(x.size):
        code = round_code((np.float64(x[i]) - m) / divisor - d, u, i, floor)
        out[i] = (clamp(code, first, last) + d) * c + m
        if bits is not None:
            worst = max(worst, bits[i] & MAGNITUDE)
    return worst


@kernel
def _segment_columns(x, bits, out, u, m, divisor, d, c, first, last, floor):
    worst = np.int32(0)
    for i in range(x.size):
        code = round_code((np.float64(x[i]) - m[i]) / divisor[i] - d[i], u, i, floor)
        out[i] = (clamp(code, first, last) + d[i]) * c[i] + m[i]
        if bits is not None:
            worst = max(worst, bits[i] & MAGNITUDE)
    return worst


@kernel
def quantize_flat(x, bits, out, start, m, divisor, d, c, first, last, floor, key):
    """One grid for all of x, whose first element has the number ``start``."""
    if key is None:
        return segment(x, bits, out, None, m, divisor, d, c, first, last, floor)
    worst = np.int32(0)
    u = np.empty(SEGMENT, np.float32)
    for begin in range(0, x.size, SEGMENT):
        end = min(begin + SEGMENT, x.size)
        fill_uniform(u[: end - begin], start + begin, key)
        if bits is None:
            segment(x[begin:end], None, out[begin:end], u, m, divisor, d, c, first, last, floor)
        else:
            part = segment(x[begin:end], bits[begin:end], out[begin:end], u, m, divisor, d, c, first, last, floor)
            worst = max(worst, part)
    return worst


@kernel
def quantize_rows(x, bits, out, start, m, divisor, d, c, first, last, floor, key):
    """A grid a row: x [rows, length], parameters [rows]."""
    worst = np.int32(0)
    for r in range(x.shape[0]):
        begin = start + r * x.shape[1]
        if bits is None:
            quantize_flat(x[r], None, out[r], begin, m[r], divisor[r], d[r], c[r], first, last, floor, key)
        else:
            part = quantize_flat(x[r], bits[r], out[r], begin, m[r], divisor[r], d[r], c[r], first, last, floor, key)
            worst = max(worst, part)
    return worst


@kernel
def quantize_columns(x, bits, out, start, m, divisor, d, c, first, last, floor, key):
    """A grid a column: x [length, columns], parameters [columns]."""
    worst = np.int32(0)
    width = x.shape[1]
    u = np.empty(width, np.float32)
    for r in range(x.shape[0]):
        row, into = x[r], out[r]
        if key is not None:
            fill_uniform(u, start + r * width, key)
        if bits is None:
            if key is None:
                _segment_columns(row, None, into, None, m, divisor, d, c, first, last, floor)
            else:
                _segment_columns(row, None, into, u, m, divisor, d, c, first, last, floor)
        elif key is None:
            worst = max(worst, _segment_columns(row, bits[r], into, None, m, divisor, d, c, first, last, floor))
        else:
            worst = max(worst, _segment_columns(row, bits[r], into, u, m, divisor, d, c, first, last, floor))
    return worst


@kernel
def quantize_flat_mask(x, bits, out, mask, start, m, divisor, d, c, first, last, keep_first, keep_last, floor, key):
    """As quantize_flat; bit i % 8 of mask[i // 8] says that the code, before the clamp, is one to keep."""
    worst = np.int32(0)
    u = np.empty(SEGMENT, np.float32)
    kept = np.empty(SEGMENT, np.uint8)
    for begin in range(0, x.size, SEGMENT):
        end = min(begin + SEGMENT, x.size)
        row, into, flags = x[begin:end], out[begin:end], kept[: end - begin]
        if key is None:
            _segment_flags(row, into, flags, None, m, divisor, d, c, first, last, keep_first, keep_last, floor)
        else:
            fill_uniform(u[: end - begin], start + begin, key)
            _segment_flags(row, into, flags, u, m, divisor, d, c, first, last, keep_first, keep_last, floor)
        if bits is not None:
            for i in range(begin, end):
                worst = max(worst, bits[i] & MAGNITUDE)
        pack_flags(flags, mask[begin // 8 : (end + 7) // 8])
    return worst


@kernel
def _segment_flags(x, out, kept, u, m, divisor, d, c, first, last, keep_first, keep_last, floor):
    for i in range(x.size):
        code = round_code((np.float64(x[i]) - m) / divisor - d, u, i, floor)
        out[i] = (clamp(code, first, last) + d) * c + m
        kept[i] = np.uint8((code >= keep_first) & (code <= keep_last))


@kernel
def pack_flags(flags, mask):
    """Bit i % 8 of mask[i // 8] = flags[i]."""
    whole = flags.size // 8
    for byte in range(whole):
        value = np.uint8(0)
        for j in range(8):
            value |= np.uint8(flags[byte * 8 + j] << np.uint8(j))
        mask[byte] = value
    if whole < mask.size:
        value = np.uint8(0)
        for j in range(flags.size - whole * 8):
            value |= np.uint8(flags[whole * 8 + j] << np.uint8(j))
        mask[whole] = value


@kernel
def set_rows(mask, rows, width):
    """Set the bits of each row of ``width`` elements that ``rows`` marks."""
    for r in range(rows.size):
        if rows[r]:
            for i in range(r * width, (r + 1) * width):
                mask[i // 8] |= np.uint8(1 << (i % 8))


@kernel
def select(x, mask, out):
    """out[i] = x[i] where bit i of the packed mask is set, else 0."""
    for byte in range(x.size // 8):
        value = mask[byte]
        for j in range(8):
            i = byte * 8 + j
            out[i] = x[i] if (value >> np.uint8(j)) & np.uint8(1) else np.float32(0)
    for i in range(x.size // 8 * 8, x.size):
        out[i] = x[i] if (mask[i // 8] >> np.uint8(i % 8)) & np.uint8(1) else np.float32(0)
