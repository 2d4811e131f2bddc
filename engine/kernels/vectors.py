"""The innermost loops of the integer kernels, as vectors of LLVM's own: portable, and exact on every processor.

numba knows no vectors, and what LLVM finds by itself is half as fast: a product of pairs that are added, int16 × int16
→ int32, is one instruction (x86: vpmaddwd, without the saturation of the 8-bit vpmaddubsw that libraries use), found
in the form that ``_pairs`` writes only. Accumulators stay in registers over the whole loop.

Each is called from a numba kernel, on flat contiguous arrays; places are in elements.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from engine.kernels.finish import TILE_ROWS

TILE_COLUMNS = 16
"""What ``multiply_tile`` makes of ``TILE_ROWS`` rows: 12 accumulators of 8 int32, and 4 registers for operands."""

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))


def _vector(kind: ir.Type, lanes: int) -> ir.VectorType:
    return ir.VectorType(kind, lanes)


def _int(value: int) -> ir.Constant:
    return ir.Constant(_I64, value)


def _lanes(numbers: Sequence[int]) -> ir.Constant:
    return ir.Constant(_vector(_I32, len(numbers)), list(numbers))


def _pick(builder: Any, vector: Any, numbers: Sequence[int]) -> Any:
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), _lanes(numbers))


def _spread(builder: Any, scalar: Any, lanes: int) -> Any:
    """The scalar in every lane."""
    nothing = ir.Constant(_vector(scalar.type, lanes), ir.Undefined)
    return _pick(builder, builder.insert_element(nothing, scalar, ir.Constant(_I32, 0)), [0] * lanes)


def _load(builder: Any, pointer: Any, kind: Any) -> Any:
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=1)


def _pairs(builder: Any, a: Any, b: Any) -> Any:
    """a, b: 16 int16 → 8 int32, a[2i]·b[2i] + a[2i+1]·b[2i+1]."""
    wide = _vector(_I32, 16)
    product = builder.mul(builder.sext(a, wide), builder.sext(b, wide))
    return builder.add(_pick(builder, product, range(0, 16, 2)), _pick(builder, product, range(1, 16, 2)))


def _repeat(
    builder: Any, start: Any, stop: Any, carried: Sequence[Any], step: Callable[[Any, Sequence[Any]], Any]
) -> Any:
    """``carried = step(i, carried)`` for i in range(start, stop); gives what is carried at the end."""
    before = builder.block
    head, body, end = (builder.append_basic_block(name) for name in ("head", "body", "end"))
    builder.branch(head)
    builder.position_at_end(head)
    index = builder.phi(_I64)
    index.add_incoming(start, before)
    held = [builder.phi(value.type) for value in carried]
    for phi, value in zip(held, carried, strict=True):
        phi.add_incoming(value, before)
    builder.cbranch(builder.icmp_signed("<", index, stop), body, end)
    builder.position_at_end(body)
    after = step(index, held)
    last = builder.block
    index.add_incoming(builder.add(index, _int(1)), last)
    for phi, value in zip(held, after, strict=True):
        phi.add_incoming(value, last)
    builder.branch(head)
    builder.position_at_end(end)
    return held


def _data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _add_into(builder: Any, pointer: Any, value: Any) -> None:
    """pointer[…] += value, a vector of the array's type."""
    place = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(builder.add(builder.load(place, align=4), value), place, align=4)


def _at(builder: Any, pointer: Any, *terms: Any) -> Any:
    for term in terms:
        pointer = builder.gep(pointer, [term])
    return pointer


@intrinsic
def multiply_tile(typing, x, length, weights, out, out_width):
    """out[r, :16] = Σ_k x[r, k]·w[:, k] of 6 rows: x int16 [6·length], length even.

    ``weights`` int16 [length/2, 16, 2]: of each pair of inputs the 16 outputs; ``out`` int32, rows of ``out_width``.
    """

    def generate(context, builder, signature, arguments):
        kinds = signature.args
        rows, kernel, result = (_data(context, builder, kinds[i], arguments[i]) for i in (0, 2, 3))
        length, width = arguments[1], arguments[4]
        lines = [_at(builder, rows, builder.mul(length, _int(r))) for r in range(TILE_ROWS)]
        lines = [builder.bitcast(line, _I32.as_pointer()) for line in lines]

        def step(pair: Any, sums: Sequence[Any]) -> list[Any]:
            place = _at(builder, kernel, builder.mul(pair, _int(2 * TILE_COLUMNS)))
            halves = [_load(builder, _at(builder, place, _int(16 * half)), _vector(_I16, 16)) for half in (0, 1)]
            found: list[Any] = []
            for r, line in enumerate(lines):
                both = builder.load(_at(builder, line, pair), align=1)
                x = builder.bitcast(_spread(builder, both, 8), _vector(_I16, 16))
                found += [builder.add(sums[2 * r + h], _pairs(builder, x, half)) for h, half in enumerate(halves)]
            return found

        zero = ir.Constant(_vector(_I32, 8), [0] * 8)
        sums = _repeat(builder, _int(0), builder.sdiv(length, _int(2)), [zero] * (2 * TILE_ROWS), step)
        for r in range(TILE_ROWS):
            for half in (0, 1):
                place = _at(builder, result, builder.mul(width, _int(r)), _int(8 * half))
                builder.store(sums[2 * r + half], builder.bitcast(place, sums[0].type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.void(x, types.int64, weights, out, types.int64), generate


def _rows_summed(lanes: int) -> Any:
    """out[:lanes] += Σ over p in [start, stop) of codes[columns[p]·width + begin : … + lanes]; at most 256 rows.

    int8 codes, summed in int16, which 256 of them cannot leave; ``out`` int32.
    """

    @intrinsic
    def add_rows(typing, codes, width, columns, start, stop, out, begin):
        def generate(context, builder, signature, arguments):
            kinds = signature.args
            source, places, result = (_data(context, builder, kinds[i], arguments[i]) for i in (0, 2, 5))
            width, start, stop, begin = (arguments[i] for i in (1, 3, 4, 6))

            def step(p: Any, sums: Sequence[Any]) -> list[Any]:
                row = builder.sext(builder.load(_at(builder, places, p)), _I64)
                place = _at(builder, source, builder.mul(row, width), begin)
                parts = [
                    _load(builder, _at(builder, place, _int(16 * i)), _vector(_I8, 16)) for i in range(lanes // 16)
                ]
                return [builder.add(s, builder.sext(part, s.type)) for s, part in zip(sums, parts, strict=True)]

            zero = ir.Constant(_vector(_I16, 16), [0] * 16)
            sums = _repeat(builder, start, stop, [zero] * (lanes // 16), step)
            for i, total in enumerate(sums):
                for half in (0, 1):
                    part = builder.sext(_pick(builder, total, range(8 * half, 8 * half + 8)), _vector(_I32, 8))
                    _add_into(builder, _at(builder, result, begin, _int(16 * i + 8 * half)), part)
            return context.get_dummy_value()

        word = types.int64
        return types.void(codes, word, columns, word, word, out, word), generate

    return add_rows


def _nibbles_summed(lanes: int) -> Any:
    """The same of packed codes of 4 bits, 0…15: the low half of byte k is column k, the high one column ``width`` + k.

    ``lanes`` and ``begin`` in bytes; at most 16 rows, which a byte's 255 can hold.
    """

    @intrinsic
    def add_nibbles(typing, codes, width, columns, start, stop, out, begin):
        def generate(context, builder, signature, arguments):
            kinds = signature.args
            source, places, result = (_data(context, builder, kinds[i], arguments[i]) for i in (0, 2, 5))
            width, start, stop, begin = (arguments[i] for i in (1, 3, 4, 6))
            parts = lanes // 32
            bytes_ = _vector(_I8, 32)
            low, four = (ir.Constant(bytes_, [value] * 32) for value in (15, 4))

            def step(p: Any, sums: Sequence[Any]) -> list[Any]:
                row = builder.sext(builder.load(_at(builder, places, p)), _I64)
                place = _at(builder, source, builder.mul(row, width), begin)
                found = list(sums)
                for i in range(parts):
                    packed = _load(builder, _at(builder, place, _int(32 * i)), bytes_)
                    found[2 * i] = builder.add(found[2 * i], builder.and_(packed, low))
                    found[2 * i + 1] = builder.add(found[2 * i + 1], builder.lshr(packed, four))
                return found

            zero = ir.Constant(bytes_, [0] * 32)
            sums = _repeat(builder, start, stop, [zero] * (2 * parts), step)
            for i, total in enumerate(sums):
                place = _at(builder, result, begin, _int(32 * (i // 2)))
                if i % 2:
                    place = _at(builder, place, width)
                for part in range(4):
                    eight = builder.zext(_pick(builder, total, range(8 * part, 8 * part + 8)), _vector(_I32, 8))
                    _add_into(builder, _at(builder, place, _int(8 * part)), eight)
            return context.get_dummy_value()

        word = types.int64
        return types.void(codes, word, columns, word, word, out, word), generate

    return add_nibbles


def _weighted_rows_summed(lanes: int) -> Any:
    """out[:lanes] += Σ weights[columns[p]]·codes[columns[p], …]: int8 codes, float64 ``out``; at most 256 rows.

    ``weights`` int16 [2·nodes]: a weight is first·2^15 + second. Two rows at a time, each half summed in int32, which
    256 rows cannot leave; the sums are whole numbers below 2^53, so float64 holds them exactly.
    """

    @intrinsic
    def add_weighted_rows(typing, codes, width, columns, weights, start, stop, out, begin):
        def generate(context, builder, signature, arguments):
            kinds = signature.args
            source, places, factors, result = (_data(context, builder, kinds[i], arguments[i]) for i in (0, 2, 3, 6))
            width, start, stop, begin = (arguments[i] for i in (1, 4, 5, 7))
            factors = builder.bitcast(factors, _I32.as_pointer())
            word, sixteen = ir.Constant(_I32, 0xFFFF), ir.Constant(_I32, 16)

            def step(pair: Any, sums: Sequence[Any]) -> list[Any]:
                first = builder.add(start, builder.mul(pair, _int(2)))
                second = builder.add(first, _int(1))
                alone = builder.icmp_signed(">=", second, stop)
                second = builder.select(alone, first, second)
                a, b = (builder.sext(builder.load(_at(builder, places, p)), _I64) for p in (first, second))
                x, y = (builder.load(_at(builder, factors, row), align=2) for row in (a, b))
                y = builder.select(alone, ir.Constant(_I32, 0), y)
                high = builder.or_(builder.and_(x, word), builder.shl(y, sixteen))
                low = builder.or_(builder.lshr(x, sixteen), builder.and_(y, builder.not_(word)))
                halves = [builder.bitcast(_spread(builder, both, 8), _vector(_I16, 16)) for both in (high, low)]
                found = list(sums)
                for i in range(lanes // 16):
                    rows = [_at(builder, source, builder.mul(row, width), begin, _int(16 * i)) for row in (a, b)]
                    parts = [_load(builder, row, _vector(_I8, 16)) for row in rows]
                    for part in (0, 1):
                        order = [8 * part + k + 16 * row for k in range(8) for row in (0, 1)]
                        mixed = builder.shuffle_vector(*parts, _lanes(order))
                        wide = builder.sext(mixed, _vector(_I16, 16))
                        for half in (0, 1):
                            at = 4 * i + 2 * part + half
                            found[at] = builder.add(found[at], _pairs(builder, wide, halves[half]))
                return found

            zero = ir.Constant(_vector(_I32, 8), [0] * 8)
            pairs = builder.sdiv(builder.add(builder.sub(stop, start), _int(1)), _int(2))
            sums = _repeat(builder, _int(0), pairs, [zero] * (lanes // 4), step)
            double = _vector(ir.DoubleType(), 8)
            unit = ir.Constant(double, [2.0**15] * 8)
            for i in range(lanes // 8):
                high, low = (builder.sitofp(total, double) for total in sums[2 * i : 2 * i + 2])
                place = builder.bitcast(_at(builder, result, begin, _int(8 * i)), double.as_pointer())
                total = builder.fadd(builder.fadd(builder.fmul(high, unit), low), builder.load(place, align=8))
                builder.store(total, place, align=8)
            return context.get_dummy_value()

        word = types.int64
        return types.void(codes, word, columns, weights, word, word, out, word), generate

    return add_weighted_rows


def _entries_multiplied(lanes: int) -> Any:
    """out[:lanes] += Σ over p in [start, stop) of values[p]·kernel[columns[p]·width + begin : … + lanes].

    int16 values and kernel, int32 sums, int64 columns. Two entries at a time.
    """
    # Within halves of a register, where shuffles are cheap: columns 0…3 and 8…11, then the others.
    orders = [[k + 16 * row for k in (*range(at, at + 4), *range(at + 8, at + 12)) for row in (0, 1)] for at in (0, 4)]

    @intrinsic
    def add_products(typing, values, columns, kernel, width, start, stop, out, begin):
        def generate(context, builder, signature, arguments):
            kinds = signature.args
            factors, places, source, result = (_data(context, builder, kinds[i], arguments[i]) for i in (0, 1, 2, 6))
            width, start, stop, begin = (arguments[i] for i in (3, 4, 5, 7))

            def step(pair: Any, sums: Sequence[Any]) -> list[Any]:
                first = builder.add(start, builder.mul(pair, _int(2)))
                second = builder.add(first, _int(1))
                alone = builder.icmp_signed(">=", second, stop)
                second = builder.select(alone, first, second)
                a, b = (builder.load(_at(builder, places, p)) for p in (first, second))
                x, y = (builder.zext(builder.load(_at(builder, factors, p)), _I32) for p in (first, second))
                y = builder.select(alone, ir.Constant(_I32, 0), y)
                both = builder.or_(x, builder.shl(y, ir.Constant(_I32, 16)))
                factor = builder.bitcast(_spread(builder, both, 8), _vector(_I16, 16))
                found = list(sums)
                for i in range(lanes // 16):
                    rows = [_at(builder, source, builder.mul(row, width), begin, _int(16 * i)) for row in (a, b)]
                    parts = [_load(builder, row, _vector(_I16, 16)) for row in rows]
                    for half, order in enumerate(orders):
                        mixed = builder.shuffle_vector(*parts, _lanes(order))
                        found[2 * i + half] = builder.add(found[2 * i + half], _pairs(builder, mixed, factor))
                return found

            zero = ir.Constant(_vector(_I32, 8), [0] * 8)
            pairs = builder.sdiv(builder.add(builder.sub(stop, start), _int(1)), _int(2))
            sums = _repeat(builder, _int(0), pairs, [zero] * (lanes // 8), step)
            for i in range(lanes // 16):
                for half, order in enumerate(([0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])):
                    total = builder.shuffle_vector(sums[2 * i], sums[2 * i + 1], _lanes(order))
                    _add_into(builder, _at(builder, result, begin, _int(16 * i + 8 * half)), total)
            return context.get_dummy_value()

        word = types.int64
        return types.void(values, columns, kernel, word, word, word, out, word), generate

    return add_products


add_rows_16, add_rows_32, add_rows_64, add_rows_128 = map(_rows_summed, (16, 32, 64, 128))
add_nibbles_32, add_nibbles_64, add_nibbles_128 = map(_nibbles_summed, (32, 64, 128))
add_weighted_rows_16, add_weighted_rows_32 = map(_weighted_rows_summed, (16, 32))
add_products_16, add_products_32, add_products_64 = map(_entries_multiplied, (16, 32, 64))
