"""Attention in registers: rows summed with a weight an edge and head, and dot products along the edges.

All arrays are flat and contiguous, of float32 or of float64, all of one; each sum has the order that engine.kernels.csr
gives it, whatever the vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from engine.kernels.jit import kernel
from engine.kernels.row_vectors import _check
from engine.kernels.vectors import _I32, _I64, _at, _data, _int, _load, _repeat, _spread, _vector

LANES = 8


def _wide(builder: Any, number: Any) -> Any:
    return number if number.type == _I64 else builder.sext(number, _I64)


def _heads_summed(lanes: int, vectors: int, *, apart: bool) -> Any:
    """out[place + k] = Σ over p in [start, stop) of weights[edges[p]·heads + head]·x[columns[p]·across + k].

    k: ``lanes`` columns each from ``begin``, ``begin + lanes``, … on, and from ``last`` on the last ones. ``apart``:
    each vector is a head of its own, the first of them ``head``; else all are of that head.
    """

    @intrinsic
    def add_heads(typing, weights, heads, head, x, across, columns, edges, start, stop, begin, last, out, place):
        _check(weights, x, out)

        def generate(context, builder, signature, arguments):
            kinds = signature.args
            factors, source, places, numbers, result = (
                _data(context, builder, kinds[i], arguments[i]) for i in (0, 3, 5, 6, 11)
            )
            heads, head, across, start, stop, begin, last, place = (arguments[i] for i in (1, 2, 4, 7, 8, 9, 10, 12))
            kind = _vector(context.get_data_type(kinds[3].dtype), lanes)
            offsets = [builder.add(begin, _int(lanes * i)) for i in range(vectors - 1)] + [last]

            def step(p: Any, sums: Sequence[Any]) -> list[Any]:
                row, edge = (_wide(builder, builder.load(_at(builder, of, p))) for of in (places, numbers))
                line = _at(builder, source, builder.mul(row, across))
                mine = _at(builder, factors, builder.mul(edge, heads), head)
                found = [
                    _spread(builder, builder.load(_at(builder, mine, _int(i))), lanes)
                    for i in range(vectors if apart else 1)
                ]
                found = found if apart else found * vectors
                parts = [_load(builder, _at(builder, line, offset), kind) for offset in offsets]
                products = [builder.fmul(factor, part) for factor, part in zip(found, parts, strict=True)]
                return [builder.fadd(total, product) for total, product in zip(sums, products, strict=True)]

            zero = ir.Constant(kind, [0.0] * lanes)
            for offset, total in zip(offsets, _repeat(builder, start, stop, [zero] * vectors, step), strict=True):
                line = builder.bitcast(_at(builder, result, place, offset), kind.as_pointer())
                builder.store(total, line, align=4)
            return context.get_dummy_value()

        word = types.int64
        return (
            types.void(weights, word, word, x, word, columns, edges, word, word, word, word, out, word),
            generate,
        )

    return add_heads


_FORMS = ((8, 4), (8, 2), (8, 1), (4, 2), (2, 2), (1, 1))
_add_8x4, _add_8x2, _add_8x1, _add_4x2, _add_2x2, _add_1x1 = (_heads_summed(*form, apart=False) for form in _FORMS)
_apart_8x8, _apart_8x4 = (_heads_summed(8, count, apart=True) for count in (8, 4))


@kernel
def sum_heads(weights, heads, x, across, columns, edges, start, stop, out, place):
    """out[place + h·C + k] = Σ over p in [start, stop) of weights[edges[p], h]·x[columns[p], h·C + k], one after the
    other.

    weights [E·heads], x [N·across], ``across`` = heads·C columns a row.
    """
    width = across // heads
    head = 0
    if width == LANES:
        while head + 8 <= heads:
            at = head * LANES
            _apart_8x8(weights, heads, head, x, across, columns, edges, start, stop, at, at + 56, out, place)
            head += 8
        while head + 4 <= heads:
            at = head * LANES
            _apart_8x4(weights, heads, head, x, across, columns, edges, start, stop, at, at + 24, out, place)
            head += 4
    while head < heads:
        begin, end = head * width, (head + 1) * width
        while begin + 32 <= end:
            _add_8x4(weights, heads, head, x, across, columns, edges, start, stop, begin, begin + 24, out, place)
            begin += 32
        while begin + 8 < end:
            last = min(begin + 8, end - 8)
            _add_8x2(weights, heads, head, x, across, columns, edges, start, stop, begin, last, out, place)
            begin += 16
        if begin < end:
            first = head * width
            if width >= 8:
                _add_8x1(weights, heads, head, x, across, columns, edges, start, stop, begin, end - 8, out, place)
            elif width >= 4:
                _add_4x2(weights, heads, head, x, across, columns, edges, start, stop, first, end - 4, out, place)
            elif width >= 2:
                _add_2x2(weights, heads, head, x, across, columns, edges, start, stop, first, end - 2, out, place)
            else:
                _add_1x1(weights, heads, head, x, across, columns, edges, start, stop, first, first, out, place)
        head += 1


@intrinsic
def _dot(typing, a, from_a, b, from_b, length):
    """Σ_k a[from_a + k]·b[from_b + k] in four sums side by side: of every fourth k, the rest added to the first."""
    _check(a, b)

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        left, right = (_at(builder, _data(context, builder, kinds[i], arguments[i]), arguments[i + 1]) for i in (0, 2))
        length = arguments[4]
        scalar = context.get_data_type(kinds[0].dtype)
        kind = _vector(scalar, 4)
        blocks = builder.ashr(length, _int(2))

        def step(block: Any, sums: Sequence[Any]) -> list[Any]:
            offset = builder.shl(block, _int(2))
            x, y = (_load(builder, _at(builder, line, offset), kind) for line in (left, right))
            return [builder.fadd(sums[0], builder.fmul(x, y))]

        (sums,) = _repeat(builder, _int(0), blocks, [ir.Constant(kind, [0.0] * 4)], step)
        first, second, third, fourth = (builder.extract_element(sums, ir.Constant(_I32, i)) for i in range(4))

        def rest(k: Any, total: Sequence[Any]) -> list[Any]:
            x, y = (builder.load(_at(builder, line, k)) for line in (left, right))
            return [builder.fadd(total[0], builder.fmul(x, y))]

        (first,) = _repeat(builder, builder.shl(blocks, _int(2)), length, [first], rest)
        return builder.fadd(builder.fadd(first, second), builder.fadd(third, fourth))

    word = types.int64
    return a.dtype(a, word, b, word, word), generate


dot: Any = _dot
