"""Boxes of float32 in registers: the largest magnitude of each, and a scale for all of its elements.

Magnitudes are compared by their bits, as int32. All arrays are flat and contiguous; places are in elements. The vectors
are those of engine.kernels.vectors: a row's last one may overlap the one before it, which changes no largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from engine.kernels.jit import kernel
from engine.kernels.vectors import _I32, _at, _data, _int, _load, _pick, _repeat, _spread, _vector

MAGNITUDE = np.int32(0x7FFFFFFF)
LANES = 8


def _bits_only(*arrays: Any) -> None:
    if any(array.dtype != types.int32 for array in arrays):
        raise TypingError("the largest magnitudes are found among the bits of float32, as int32")


def _magnitudes(builder: Any, pointer: Any, lanes: int) -> Any:
    kind = _vector(_I32, lanes)
    return builder.and_(_load(builder, pointer, kind), ir.Constant(kind, [int(MAGNITUDE)] * lanes))


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.icmp_signed(">", a, b), a, b)


@intrinsic
def _largest_of_sixteen(typing, bits, place):
    """The largest magnitude's bits of bits[place : place + 16]."""
    _bits_only(bits)

    def generate(context, builder, signature, arguments):
        line = _at(builder, _data(context, builder, signature.args[0], arguments[0]), arguments[1])
        found = _larger(builder, *(_magnitudes(builder, _at(builder, line, _int(at)), LANES) for at in (0, LANES)))
        lanes = LANES
        while lanes > 1:
            lanes //= 2
            found = _larger(
                builder, _pick(builder, found, range(lanes)), _pick(builder, found, range(lanes, 2 * lanes))
            )
        return builder.extract_element(found, ir.Constant(_I32, 0))

    return types.int32(bits, types.int64), generate


@intrinsic
def _fill_sixteen(typing, out, place, value):
    """out[place : place + 16] = value."""
    if out.dtype != value:
        raise TypingError(f"an array of {out.dtype} is not filled with {value}")

    def generate(context, builder, signature, arguments):
        line = _at(builder, _data(context, builder, signature.args[0], arguments[0]), arguments[1])
        part = _spread(builder, arguments[2], LANES)
        for at in (0, LANES):
            target = builder.bitcast(_at(builder, line, _int(at)), part.type.as_pointer())
            builder.store(part, target, align=4)
        return context.get_dummy_value()

    return types.void(out, types.int64, value), generate


largest_of_sixteen: Any = _largest_of_sixteen
fill_sixteen: Any = _fill_sixteen


def _rows_compared(lanes: int, vectors: int) -> Any:
    """worst[k] = the largest magnitude's bits of bits[p·width + k] over p in [start, stop).

    k: ``lanes`` columns each from ``begin``, ``begin + lanes``, … on, and from ``last`` on the last ones.
    """

    @intrinsic
    def compare_rows(typing, bits, width, start, stop, worst, begin, last):
        _bits_only(bits, worst)

        def generate(context, builder, signature, arguments):
            source, result = (_data(context, builder, signature.args[i], arguments[i]) for i in (0, 4))
            width, start, stop, begin, last = (arguments[i] for i in (1, 2, 3, 5, 6))
            kind = _vector(_I32, lanes)
            offsets = [builder.add(begin, _int(lanes * i)) for i in range(vectors - 1)] + [last]

            def step(p: Any, found: Sequence[Any]) -> list[Any]:
                line = _at(builder, source, builder.mul(p, width))
                parts = [_magnitudes(builder, _at(builder, line, offset), lanes) for offset in offsets]
                return [_larger(builder, part, most) for part, most in zip(parts, found, strict=True)]

            zero = ir.Constant(kind, [0] * lanes)
            for offset, most in zip(offsets, _repeat(builder, start, stop, [zero] * vectors, step), strict=True):
                target = builder.bitcast(_at(builder, result, offset), kind.as_pointer())
                builder.store(most, target, align=4)
            return context.get_dummy_value()

        word = types.int64
        return types.void(bits, word, word, word, worst, word, word), generate

    return compare_rows


def _row_repeated(lanes: int, vectors: int) -> Any:
    """values[p·width + k] = values[k] for p in [1, count), k as in ``_rows_compared``."""

    @intrinsic
    def repeat(typing, values, width, count, begin, last):
        def generate(context, builder, signature, arguments):
            data = _data(context, builder, signature.args[0], arguments[0])
            width, count, begin, last = arguments[1:]
            kind = _vector(context.get_data_type(signature.args[0].dtype), lanes)
            offsets = [builder.add(begin, _int(lanes * i)) for i in range(vectors - 1)] + [last]
            parts = [_load(builder, _at(builder, data, offset), kind) for offset in offsets]

            def step(p: Any, _: Sequence[Any]) -> list[Any]:
                line = _at(builder, data, builder.mul(p, width))
                for offset, part in zip(offsets, parts, strict=True):
                    builder.store(part, builder.bitcast(_at(builder, line, offset), kind.as_pointer()), align=4)
                return []

            _repeat(builder, _int(1), count, [], step)
            return context.get_dummy_value()

        word = types.int64
        return types.void(values, word, word, word, word), generate

    return repeat


_FORMS = ((8, 4), (8, 2), (8, 1), (4, 2), (2, 2), (1, 1))
_compare_8x4, _compare_8x2, _compare_8x1, _compare_4x2, _compare_2x2, _compare_1x1 = (
    _rows_compared(*form) for form in _FORMS
)
_repeat_8x4, _repeat_8x2, _repeat_8x1, _repeat_4x2, _repeat_2x2, _repeat_1x1 = (_row_repeated(*form) for form in _FORMS)


@kernel
def largest_of_columns(bits, width, start, stop, worst):
    """worst[:width] = the largest magnitude's bits of each column of rows start…stop, rows ``width`` long."""
    begin = 0
    while begin + 32 <= width:
        _compare_8x4(bits, width, start, stop, worst, begin, begin + 24)
        begin += 32
    while begin + 8 < width:
        _compare_8x2(bits, width, start, stop, worst, begin, min(begin + 8, width - 8))
        begin += 16
    if begin >= width:
        return
    if width >= 8:
        _compare_8x1(bits, width, start, stop, worst, 0, width - 8)
    elif width >= 4:
        _compare_4x2(bits, width, start, stop, worst, 0, width - 4)
    elif width >= 2:
        _compare_2x2(bits, width, start, stop, worst, 0, width - 2)
    else:
        _compare_1x1(bits, width, start, stop, worst, 0, 0)


@kernel
def repeat_row(values, width, count):
    """values[i] = values[i mod width], for ``count`` rows of ``width``."""
    begin = 0
    while begin + 32 <= width:
        _repeat_8x4(values, width, count, begin, begin + 24)
        begin += 32
    while begin + 8 < width:
        _repeat_8x2(values, width, count, begin, min(begin + 8, width - 8))
        begin += 16
    if begin >= width:
        return
    if width >= 8:
        _repeat_8x1(values, width, count, 0, width - 8)
    elif width >= 4:
        _repeat_4x2(values, width, count, 0, width - 4)
    elif width >= 2:
        _repeat_2x2(values, width, count, 0, width - 2)
    else:
        _repeat_1x1(values, width, count, 0, 0)
