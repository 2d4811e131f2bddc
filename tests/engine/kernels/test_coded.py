"""What lies coded in its source's memory decodes to what fake-quantization gives, and multiplies as that does."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.formats import get_format
from engine.formats.block import BlockFormat
from engine.formats.grid import GridFormat
from engine.kernels.coded import CodedOperand, PairedOperand, encode_in_place, is_plain, pair_in_place, takes_codes
from engine.kernels.dense import DenseOperand
from engine.kernels.finite import NonFiniteError
from engine.randomness import make_key

SHAPES = [(1, 1), (3, 7), (70, 33), (700, 20)]


def matrix(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * 3 + 0.5


def coded(x: torch.Tensor, name: str) -> CodedOperand:
    format = get_format(name)
    assert isinstance(format, GridFormat)
    grid, _ = format.grid(x)
    assert takes_codes(x, grid)
    return encode_in_place(x, grid)


def paired(x: torch.Tensor, name: str) -> tuple[PairedOperand, PairedOperand] | None:
    format = get_format(name)
    assert isinstance(format, BlockFormat)
    return pair_in_place(x, lambda s: format.fake_quantize(s, -1), lambda s: format.fake_quantize(s, 0), format.box)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["int8", "int4", "int2", "binary", "int8-symmetric", "int8(exact_zero=false)"])
def test_codes_in_place_are_the_same_values_bit_for_bit(shape: tuple[int, int], name: str) -> None:
    x = matrix(*shape)
    expected = get_format(name).fake_quantize(x)
    memory = x.data_ptr()
    held = coded(x, name)
    assert held.codes.data_ptr() == memory
    assert torch.equal(held.dense(), expected)
    some = torch.tensor([shape[0] - 1, 0])
    assert torch.equal(held.take(some), expected[some])


@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=2000), st.sampled_from(["int8", "int3"]))
def test_any_values_survive_their_own_overwriting(values: list[float], name: str) -> None:
    x = torch.tensor(values).unsqueeze(0)
    expected = get_format(name).fake_quantize(x)
    assert torch.equal(coded(x, name).dense(), expected)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["msfp13", "msfp11", "mxint8", "msfp13(box=12)"])
def test_both_forms_share_a_word(shape: tuple[int, int], name: str) -> None:
    x = matrix(*shape)
    expected = [get_format(name).fake_quantize(x, axis) for axis in (-1, 0)]
    found = paired(x, name)
    assert found is not None
    for held, values in zip(found, expected, strict=True):
        assert held.words.data_ptr() == x.data_ptr()
        assert torch.equal(held.dense(), values)


def test_values_of_too_many_bits_share_none() -> None:
    x = torch.full((2, 2), 1 + 2.0**-20)
    assert pair_in_place(x, lambda strip: strip, lambda strip: strip, 1) is None


@pytest.mark.parametrize("shape", [(3, 7), (700, 20), (2100, 30)])
def test_products_are_those_of_the_values(shape: tuple[int, int]) -> None:
    kernel, gradient = matrix(5, shape[1], 1), matrix(shape[0], 5, 2)
    operands = [coded(matrix(*shape), "int8"), *(paired(matrix(*shape), "msfp13") or ())]
    assert len(operands) == 3
    for held in operands:
        values = held.dense().double()
        assert held.shape == shape
        products = [
            (held.multiply(kernel), values, kernel.t()),
            (held.multiply_gradient(gradient), gradient.t(), values),
        ]
        for found, left, right in products:
            # float32's error grows with the terms, not with their sum.
            error = (found.double() - left.double() @ right.double()).abs()
            assert bool((error <= 1e-5 * (left.double().abs() @ right.double().abs())).all())


@given(st.integers(1, 90), st.integers(1, 70), st.integers(1, 40), st.sampled_from(["int8", "int4", "int8-symmetric"]))
def test_products_of_integers_are_exact(rows: int, inputs: int, outputs: int, name: str) -> None:
    format = get_format(name)
    assert isinstance(format, GridFormat)
    held = coded(matrix(rows, inputs), name)
    values = held.dense().double()
    for shape, multiply, of in (
        ((outputs, inputs), held.multiply, lambda w, x: x @ w.t()),
        ((rows, outputs), held.multiply_gradient, lambda g, x: g.t() @ x),
    ):
        other = matrix(*shape, seed=5)
        rounded = format.fake_quantize(other)
        found = multiply(rounded, float(format.grid(other)[0].c)).double()
        # c·n and the result are each rounded to float32 once; the sum is exact.
        error = (found - of(rounded.double(), values)).abs()
        assert bool((error <= 2.0**-22 * of(rounded.double().abs(), values.abs())).all())


def test_sums_that_32_bits_cannot_hold_are_made_in_float() -> None:
    rows = 40_000
    held, gradient = coded(torch.full((rows, 2), 1.0), "int8"), torch.ones(rows, 3)
    found = held.multiply_gradient(gradient, 1 / 255)
    assert torch.equal(found, torch.full((3, 2), float(rows)))


def test_dropout_is_the_dense_matrix_own() -> None:
    held, key = coded(matrix(40, 9), "int8"), make_key(0, 1, 2)
    dense, dropped = DenseOperand(held.dense()), held.drop(0.5, key)
    assert torch.equal(dropped.dense(), dense.drop(0.5, key).values)
    kernel = matrix(5, 9, 1)
    torch.testing.assert_close(dropped.multiply(kernel), dense.drop(0.5, key).multiply(kernel))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_is_said(bad: float) -> None:
    x = matrix(4, 4)
    format = get_format("int8")
    assert isinstance(format, GridFormat)
    grid, _ = format.grid(x)
    x[1, 2] = bad
    with pytest.raises(NonFiniteError):
        encode_in_place(x, grid)


def test_what_cannot_hold_its_codes() -> None:
    format = get_format("int8")
    assert isinstance(format, GridFormat)
    x = matrix(4, 4)
    grid, _ = format.grid(x)
    assert is_plain(x)
    assert not is_plain(x.t()[:2])
    assert not takes_codes(x.double(), grid)
    assert not takes_codes(x, format.grid(x, 0, granularity="row")[0])
    wide = get_format("int16")
    assert isinstance(wide, GridFormat)
    assert not takes_codes(x, wide.grid(x)[0])


def test_integers_of_more_than_16_bits_are_multiplied_in_float() -> None:
    held, wide = coded(matrix(50, 20), "int8"), get_format("int16")
    assert isinstance(wide, GridFormat)
    kernel = torch.linspace(-0.9, 1.1, 5 * 20).view(5, 20)
    step = float(wide.grid(kernel)[0].c)
    rounded = wide.fake_quantize(kernel)
    assert float(rounded.abs().max()) / step > 2**15
    torch.testing.assert_close(held.multiply(rounded, step), held.dense() @ rounded.t())
