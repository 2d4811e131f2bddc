"""Rows of a float matrix in registers, summed and scaled: engine.kernels.vectors' way for float32 and float64.

A row of any width from 4 on is whole vectors; the last one ends where the row ends and may overlap the one before it,
whose lanes it then finds a second time: the same sums, in the same order, for every column and any width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import TypingError
from numba.extending import intrinsic

from engine.kernels.jit import kernel
from engine.kernels.vectors import _I64, _at, _data, _int, _load, _repeat, _spread, _vector


def _check(*arrays: Any) -> None:
    """Vectors are loaded and stored as they are: arrays of several types would be written beyond their ends."""
    kinds = {array.dtype for array in arrays}
    if len(kinds) > 1 or not kinds <= {types.float32, types.float64}:
        raise TypingError(f"rows are of float32 or of float64, all of one, not of {', '.join(sorted(map(str, kinds)))}")


def _rows_added(lanes: int, vectors: int, *, weighted: bool) -> Any:
    """out[place + k] = Σ over p in [start, stop) of x[columns[p]·width + k] (times values[p], where ``weighted``).

    k: ``lanes`` columns each from ``begin``, ``begin + lanes``, … on, and from ``last`` on the last ones.
    """

    @intrinsic
    def add_rows(typing, values, x, width, columns, start, stop, begin, last, out, place):
        _check(values, x, out)

        def generate(context, builder, signature, arguments):
            kinds = signature.args
            factors, source, places, result = (_data(context, builder, kinds[i], arguments[i]) for i in (0, 1, 3, 8))
            width, start, stop, begin, last, place = (arguments[i] for i in (2, 4, 5, 6, 7, 9))
            kind = _vector(context.get_data_type(signature.args[1].dtype), lanes)
            offsets = [builder.add(begin, _int(lanes * i)) for i in range(vectors - 1)] + [last]

            def step(p: Any, sums: Sequence[Any]) -> list[Any]:
                row = builder.load(_at(builder, places, p))
                row = row if row.type == _I64 else builder.sext(row, _I64)
                line = _at(builder, source, builder.mul(row, width))
                parts = [_load(builder, _at(builder, line, offset), kind) for offset in offsets]
                if weighted:
                    factor = _spread(builder, builder.load(_at(builder, factors, p)), lanes)
                    parts = [builder.fmul(factor, part) for part in parts]
                return [builder.fadd(total, part) for total, part in zip(sums, parts, strict=True)]

            zero = ir.Constant(kind, [0.0] * lanes)
            for offset, total in zip(offsets, _repeat(builder, start, stop, [zero] * vectors, step), strict=True):
                line = builder.bitcast(_at(builder, result, place, offset), kind.as_pointer())
                builder.store(total, line, align=4)
            return context.get_dummy_value()

        word = types.int64
        return types.void(values, x, word, columns, word, word, word, word, out, word), generate

    return add_rows


_FORMS = ((8, 8), (8, 4), (8, 2), (8, 1), (4, 2), (2, 2), (1, 1))
_add_8x8, _add_8x4, _add_8x2, _add_8x1, _add_4x2, _add_2x2, _add_1x1 = (
    _rows_added(*form, weighted=False) for form in _FORMS
)
_multiply_8x8, _multiply_8x4, _multiply_8x2, _multiply_8x1, _multiply_4x2, _multiply_2x2, _multiply_1x1 = (
    _rows_added(*form, weighted=True) for form in _FORMS
)


@kernel
def sum_row(values, x, width, columns, start, stop, out, place):
    """out[place : place + width] = Σ over p in [start, stop) of row columns[p] of x, times values[p] unless None.

    x and out are flat and contiguous, and rows of x ``width`` long.
    """
    begin = 0
    while begin + 64 <= width:
        if values is None:
            _add_8x8(x, x, width, columns, start, stop, begin, begin + 56, out, place)
        else:
            _multiply_8x8(values, x, width, columns, start, stop, begin, begin + 56, out, place)
        begin += 64
    while begin + 32 <= width:
        if values is None:
            _add_8x4(x, x, width, columns, start, stop, begin, begin + 24, out, place)
        else:
            _multiply_8x4(values, x, width, columns, start, stop, begin, begin + 24, out, place)
        begin += 32
    while begin + 8 < width:
        last = min(begin + 8, width - 8)
        if values is None:
            _add_8x2(x, x, width, columns, start, stop, begin, last, out, place)
        else:
            _multiply_8x2(values, x, width, columns, start, stop, begin, last, out, place)
        begin += 16
    if begin >= width:
        return
    if width >= 8:
        if values is None:
            _add_8x1(x, x, width, columns, start, stop, 0, width - 8, out, place)
        else:
            _multiply_8x1(values, x, width, columns, start, stop, 0, width - 8, out, place)
    elif width >= 4:
        if values is None:
            _add_4x2(x, x, width, columns, start, stop, 0, width - 4, out, place)
        else:
            _multiply_4x2(values, x, width, columns, start, stop, 0, width - 4, out, place)
    elif width >= 2:
        if values is None:
            _add_2x2(x, x, width, columns, start, stop, 0, width - 2, out, place)
        else:
            _multiply_2x2(values, x, width, columns, start, stop, 0, width - 2, out, place)
    else:
        if values is None:
            _add_1x1(x, x, width, columns, start, stop, 0, 0, out, place)
        else:
            _multiply_1x1(values, x, width, columns, start, stop, 0, 0, out, place)


def _scaled(lanes: int, vectors: int) -> Any:
    """out[k] = factor·x[k], k: ``lanes`` elements each from ``begin`` on, and the last ones from ``last`` on.

    All are read before one is written, so that x may be out.
    """

    @intrinsic
    def scale(typing, x, factor, out, begin, last):
        _check(x, out)

        def generate(context, builder, signature, arguments):
            source, result = (_data(context, builder, signature.args[i], arguments[i]) for i in (0, 2))
            begin, last = arguments[3:]
            kind = _vector(context.get_data_type(signature.args[0].dtype), lanes)
            offsets = [builder.add(begin, _int(lanes * i)) for i in range(vectors - 1)] + [last]
            factor = _spread(builder, arguments[1], lanes)
            parts = [_load(builder, _at(builder, source, offset), kind) for offset in offsets]
            for offset, part in zip(offsets, parts, strict=True):
                line = builder.bitcast(_at(builder, result, offset), kind.as_pointer())
                builder.store(builder.fmul(factor, part), line, align=4)
            return context.get_dummy_value()

        return types.void(x, x.dtype, out, types.int64, types.int64), generate

    return scale


_scale_8x4, _scale_8x2, _scale_8x1, _scale_4x2, _scale_2x2, _scale_1x1 = (_scaled(*form) for form in _FORMS[1:])


@kernel
def scale_row(x, factor, out, place, width):
    """out[place : place + width] = factor·x[place : place + width], flat and contiguous; x may be out."""
    begin, end = place, place + width
    while begin + 32 <= end:
        _scale_8x4(x, factor, out, begin, begin + 24)
        begin += 32
    if begin + 16 <= end:
        _scale_8x2(x, factor, out, begin, begin + 8)
        begin += 16
    if begin + 8 < end:
        _scale_8x2(x, factor, out, begin, end - 8)
    elif begin + 8 == end:
        _scale_8x1(x, factor, out, begin, begin)
    elif begin + 4 <= end:
        _scale_4x2(x, factor, out, begin, end - 4)
    elif begin + 2 <= end:
        _scale_2x2(x, factor, out, begin, end - 2)
    elif begin < end:
        _scale_1x1(x, factor, out, begin, begin)


def _products(rows: int, lanes: int, vectors: int) -> Any:
    """out[place + r·width + k] = Σ_p a[start + r·across + p·along]·b[p·width + k] for ``rows`` r and ``length`` p.

    k: ``lanes`` columns from ``begin`` on, and the last ones from ``last`` on.
    """

    @intrinsic
    def multiply(typing, a, start, across, along, b, width, length, begin, last, out, place):
        _check(a, b, out)

        def generate(context, builder, signature, arguments):
            kinds = signature.args
            factors, source, result = (_data(context, builder, kinds[i], arguments[i]) for i in (0, 4, 9))
            start, across, along, width, length, begin, last, place = (arguments[i] for i in (1, 2, 3, 5, 6, 7, 8, 10))
            kind = _vector(context.get_data_type(kinds[0].dtype), lanes)
            offsets = [builder.add(begin, _int(lanes * i)) for i in range(vectors - 1)] + [last]
            lines = [_at(builder, factors, start, builder.mul(across, _int(r))) for r in range(rows)]

            def step(p: Any, sums: Sequence[Any]) -> list[Any]:
                line = _at(builder, source, builder.mul(p, width))
                parts = [_load(builder, _at(builder, line, offset), kind) for offset in offsets]
                found: list[Any] = []
                for r in range(rows):
                    factor = builder.load(_at(builder, lines[r], builder.mul(p, along)))
                    spread = _spread(builder, factor, lanes)
                    mine = sums[r * vectors : (r + 1) * vectors]
                    found += [
                        builder.fadd(total, builder.fmul(spread, part)) for total, part in zip(mine, parts, strict=True)
                    ]
                return found

            zero = ir.Constant(kind, [0.0] * lanes)
            sums = _repeat(builder, _int(0), length, [zero] * (rows * vectors), step)
            for r in range(rows):
                line = _at(builder, result, place, builder.mul(width, _int(r)))
                for offset, total in zip(offsets, sums[r * vectors : (r + 1) * vectors], strict=True):
                    where = builder.bitcast(_at(builder, line, offset), kind.as_pointer())
                    builder.store(total, where, align=4)
            return context.get_dummy_value()

        word = types.int64
        return types.void(a, word, word, word, b, word, word, word, word, out, word), generate

    return multiply


TOGETHER = 4
"""Rows whose products share the loads of the other matrix."""
_NARROW = ((8, 2), (8, 1), (4, 2), (2, 2), (1, 1))
_four_8x2, _four_8x1, _four_4x2, _four_2x2, _four_1x1 = (_products(TOGETHER, *form) for form in _NARROW)
_one_8x2, _one_8x1, _one_4x2, _one_2x2, _one_1x1 = (_products(1, *form) for form in _NARROW)


@kernel
def multiply_rows(a, start, across, along, rows, b, width, length, out, place):
    """out [rows, width] from ``place`` on = A·b: A[r, p] = a[start + r·across + p·along], b [length, width], all flat.

    Each element is the sum over p in order.
    """
    first = 0
    while first < rows:
        four = first + TOGETHER <= rows
        at, to = start + first * across, place + first * width
        begin = 0
        while begin + 8 < width:
            last = min(begin + 8, width - 8)
            if four:
                _four_8x2(a, at, across, along, b, width, length, begin, last, out, to)
            else:
                _one_8x2(a, at, across, along, b, width, length, begin, last, out, to)
            begin += 16
        if begin < width:
            if width >= 8:
                if four:
                    _four_8x1(a, at, across, along, b, width, length, 0, width - 8, out, to)
                else:
                    _one_8x1(a, at, across, along, b, width, length, 0, width - 8, out, to)
            elif width >= 4:
                if four:
                    _four_4x2(a, at, across, along, b, width, length, 0, width - 4, out, to)
                else:
                    _one_4x2(a, at, across, along, b, width, length, 0, width - 4, out, to)
            elif width >= 2:
                if four:
                    _four_2x2(a, at, across, along, b, width, length, 0, width - 2, out, to)
                else:
                    _one_2x2(a, at, across, along, b, width, length, 0, width - 2, out, to)
            elif four:
                _four_1x1(a, at, across, along, b, width, length, 0, 0, out, to)
            else:
                _one_1x1(a, at, across, along, b, width, length, 0, 0, out, to)
        first += TOGETHER if four else 1
