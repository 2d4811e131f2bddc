"""Sums and products of codes are exact integers, whatever the sizes and the number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.formats import get_format
from engine.kernels.csr import Csr, csr
from engine.kernels.finish import ADD, CODES, MULTIPLY, RELU, ROUND, ROWS, Program, Step, follow_extremes
from engine.kernels.integer_products import Kernel, multiply_dense, multiply_entries
from engine.kernels.integer_sums import FIXED_POINT, FixedPoint, pack_nibbles, sum_codes, sum_nibbles, sum_weighted
from engine.kernels.sparse import SparseOperand
from engine.kernels.widened_sums import sum_widened

SEEDS = st.integers(0, 2**32 - 1)


def graph(random: np.random.Generator, nodes: int, edges: int) -> Csr:
    rows, columns = (torch.from_numpy(random.integers(0, nodes, edges)) for _ in range(2))
    return csr(rows, columns, nodes)


def summed(matrix: Csr, values: np.ndarray) -> np.ndarray:
    """The sums by numpy, in values' type."""
    out = np.zeros((matrix.rows, values.shape[1]), values.dtype)
    np.add.at(out, np.repeat(np.arange(matrix.rows), matrix.degrees.numpy()), values[matrix.columns.numpy()])
    return out


@given(SEEDS, st.integers(1, 40), st.integers(0, 900), st.sampled_from([16, 32, 48, 112, 144, 272]))
@settings(max_examples=25, deadline=None)
def test_sums_of_codes_are_exact(seed: int, nodes: int, edges: int, width: int):
    random = np.random.default_rng(seed)
    matrix, offset = graph(random, nodes, edges), int(random.integers(-127, 129))
    # The ends of the range are what 16 bits have to hold.
    codes = random.choice(np.array([-128, -1, 0, 127], np.int8), (nodes, width))
    out = np.empty((nodes, width), np.int32)
    sum_codes(matrix, codes, offset, out)
    assert np.array_equal(out, summed(matrix, codes.astype(np.int64) + offset))


def test_a_row_of_many_edges_stays_exact():
    """Partial sums of 256 rows fill 16 bits, those of 16 nibbles a byte: one row gets 1,000 of the extreme code."""
    columns = torch.zeros(1000, dtype=torch.int64)
    matrix = csr(torch.ones(1000, dtype=torch.int64), columns, 2)
    out = np.empty((2, 64), np.int32)
    for extreme in (-128, 127):
        sum_codes(matrix, np.full((2, 64), extreme, np.int8), 0, out)
        assert out[1].tolist() == [1000 * extreme] * 64
        assert out[0].tolist() == [0] * 64
    sum_nibbles(matrix, pack_nibbles(np.full((2, 64), 15, np.uint8)), -8, out)
    assert out[1].tolist() == [7000] * 64
    exact = np.empty((2, 64))
    sum_weighted(matrix, np.full((2, 64), -128, np.int8), 0, FixedPoint.of(torch.ones(2, 1), matrix), exact)
    assert exact[1].tolist() == [-128000.0 * 2**FIXED_POINT] * 64


@given(SEEDS, st.integers(1, 40), st.integers(0, 900), st.sampled_from([64, 192, 384]))
@settings(max_examples=15, deadline=None)
def test_sums_of_packed_codes_are_exact(seed: int, nodes: int, edges: int, width: int):
    random = np.random.default_rng(seed)
    matrix, offset = graph(random, nodes, edges), int(random.integers(-15, 16))
    codes = random.integers(0, 16, (nodes, width), dtype=np.uint8)
    out = np.empty((nodes, width), np.int32)
    sum_nibbles(matrix, pack_nibbles(codes), offset, out)
    assert np.array_equal(out, summed(matrix, codes.astype(np.int64) + offset))


@given(SEEDS, st.integers(1, 40), st.integers(0, 900), st.sampled_from([16, 32, 48, 96]))
@settings(max_examples=15, deadline=None)
def test_sums_of_weighted_codes_are_exact_in_fixed_point(seed: int, nodes: int, edges: int, width: int):
    random = np.random.default_rng(seed)
    matrix, offset = graph(random, nodes, edges), int(random.integers(-127, 129))
    codes = random.integers(-128, 128, (nodes, width)).astype(np.int8)
    factors = random.random((nodes, 1)).astype(np.float32)
    factors[0] = 1
    whole = np.rint(factors.astype(np.float64) * 2**FIXED_POINT).astype(np.int64)
    out = np.empty((nodes, width))
    sum_weighted(matrix, codes, offset, FixedPoint.of(torch.from_numpy(factors), matrix), out)
    assert np.array_equal(out.astype(np.int64), summed(matrix, whole * (codes.astype(np.int64) + offset)))


@given(SEEDS, st.integers(1, 30), st.integers(1, 70), st.integers(1, 90))
@settings(max_examples=25, deadline=None)
def test_products_are_exact_dense_and_sparse(seed: int, rows: int, inputs: int, outputs: int):
    random = np.random.default_rng(seed)
    weight = random.choice(np.array([-255, -128, 0, 127, 255]), (outputs, inputs))
    kernel = Kernel.of(weight)
    codes = np.zeros((rows, inputs + 5), np.int8)
    codes[:, :inputs] = random.choice(np.array([-128, 0, 127]), (rows, inputs))
    out = np.empty((rows, kernel.width), np.int32)
    multiply_dense(codes, 128, kernel, out)
    whole = codes[:, :inputs].astype(np.int64) + 128
    assert np.array_equal(out[:, :outputs], whole @ weight.T)
    assert not out[:, outputs:].any()
    entries = torch.from_numpy(whole).nonzero(as_tuple=True)
    starts = torch.zeros(rows + 1, dtype=torch.int64)
    torch.cumsum(torch.bincount(entries[0], minlength=rows), 0, out=starts[1:])
    places = SparseOperand(starts, entries[1], torch.ones(len(entries[0])), inputs)
    multiply_entries(places, whole[tuple(part.numpy() for part in entries)].astype(np.int16), kernel, out)
    assert np.array_equal(out[:, :outputs], whole @ weight.T)


def test_eight_bits_do_not_saturate():
    """512·255·127, which 8-bit products that are added in 16 bits give as 8,388,352 (onednn without VNNI)."""
    kernel = Kernel.of(np.full((16, 512), 127))
    out = np.empty((1, 16), np.int32)
    multiply_dense(np.full((1, 512), 127, np.int8), 128, kernel, out)
    assert out[0].tolist() == [16_581_120] * 16


def test_a_kernel_says_whether_32_bits_hold_its_sums():
    assert Kernel.of(np.full((1, 33_000), 255)).holds(255)
    assert not Kernel.of(np.full((1, 33_100), 255)).holds(255)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_any_number_of_threads_gives_the_same(threads: Any):
    random = np.random.default_rng(0)
    matrix, kernel = graph(random, 5000, 60_000), Kernel.of(random.integers(-255, 256, (64, 200)))
    codes = random.integers(-128, 128, (5000, 208)).astype(np.int8)
    grid = get_format("int8").make_grid(-3e6, 4e6)  # pyright: ignore[reportAttributeAccessIssue]
    program = Program(np.full(208, 0.5), [Step(ROUND, grid=grid), Step(RELU)])
    found: list[list[np.ndarray]] = []
    for count in (1, 2, 3):
        threads(count)
        sums, product = np.empty((5000, 208), np.float32), np.empty((5000, 64), np.int32)
        sum_codes(matrix, codes, 7, sums, program)
        multiply_dense(codes, 128, kernel, product)
        found.append([sums, product])
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_a_program_does_its_steps_in_their_order():
    random = np.random.default_rng(0)
    grid = get_format("int8").make_grid(-1.5, 2.5)  # pyright: ignore[reportAttributeAccessIssue]
    narrow = get_format("int4").make_grid(0.0, 3.0)  # pyright: ignore[reportAttributeAccessIssue]
    bias, gain = random.normal(size=(2, 32)).astype(np.float32)
    factor = random.random(70).astype(np.float32)
    matrix = graph(random, 70, 500)
    codes = random.integers(-128, 128, (70, 32)).astype(np.int8)
    steps = [
        Step(ROWS),
        Step(ROUND, grid=grid),
        Step(MULTIPLY, vector=gain),
        Step(ADD, vector=bias),
        Step(RELU),
        Step(CODES, grid=narrow),
    ]
    out = np.empty((70, 32), np.int8)
    sum_codes(matrix, codes, 3, out, Program(np.full(32, 0.01), steps, factor))
    value = torch.from_numpy((summed(matrix, codes.astype(np.int64) + 3) * 0.01).astype(np.float32))
    value = get_format("int8").fake_quantize(value * torch.from_numpy(factor)[:, None], range=(-1.5, 2.5))
    value = torch.relu(value * torch.from_numpy(gain) + torch.from_numpy(bias))
    expected = np.rint(value.double().numpy() / narrow.c) - narrow.d
    assert np.array_equal(out, np.clip(expected, -8, 7))
    assert len(np.unique(out)) > 10


def test_columns_extremes_are_followed_through_each_step():
    random = np.random.default_rng(1)
    values = random.normal(size=(200, 16)).astype(np.float32)
    grid = get_format("int4").make_grid(-1.0, 1.0)  # pyright: ignore[reportAttributeAccessIssue]
    vector = random.normal(size=16).astype(np.float32)

    def rounded(v: np.ndarray) -> np.ndarray:
        return get_format("int4").fake_quantize(torch.from_numpy(v), range=(-1.0, 1.0)).numpy()

    for step, apply in (
        (Step(ADD, vector=vector), lambda v: v + vector),
        (Step(MULTIPLY, vector=vector), lambda v: v * vector),
        (Step(RELU), lambda v: np.maximum(v, 0)),
        (Step(ROUND, grid=grid), rounded),
    ):
        low, high = follow_extremes(values.min(0), values.max(0), step)
        after = apply(values)
        assert np.array_equal(low, after.min(0))
        assert np.array_equal(high, after.max(0))


@given(SEEDS, st.integers(1, 40), st.integers(0, 900), st.sampled_from([16, 32, 48, 112, 272]))
@settings(max_examples=25, deadline=None)
def test_sums_in_float32_are_the_same_whole_numbers(seed: int, nodes: int, edges: int, width: int):
    random = np.random.default_rng(seed)
    matrix, offset = graph(random, nodes, edges), int(random.integers(-127, 129))
    codes = random.integers(-128, 128, (nodes, width), dtype=np.int8)
    values, out = np.empty(codes.shape, np.float32), np.empty(codes.shape, np.float32)
    sum_widened(matrix, codes, offset, None, values, out)
    whole = codes.astype(np.float32) + np.float32(offset)
    assert np.array_equal(out, summed(matrix, whole))
    factor = random.random(nodes, np.float32)
    sum_widened(matrix, codes, offset, factor, values, out)
    assert np.array_equal(out, matrix.sum_rows(torch.from_numpy(whole * factor[:, None])).numpy())
