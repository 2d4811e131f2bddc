"""Packed rows unpack to what fake-quantization by rows gives, in the bytes that their bits take."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.formats import get_format
from engine.formats.grid import GridFormat
from engine.kernels.finite import NonFiniteError
from engine.kernels.packed_rows import PackedRows, pack_rows
from engine.kernels.rounding import make_rounding
from engine.randomness import make_key

KEY = make_key(1, 2, 3)


def packed(x: torch.Tensor, name: str, rounding: str = "stochastic") -> PackedRows:
    format = get_format(name)
    assert isinstance(format, GridFormat)
    found = pack_rows(x, format, make_rounding(rounding, KEY))
    assert found is not None
    return found


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from(["int1", "int2", "int3", "int4", "int5", "int7", "int8", "int4-symmetric", "binary"]),
    st.sampled_from(["stochastic", "nearest", "floor"]),
)
def test_what_is_unpacked_is_fake_quantizations_own(rows: int, width: int, name: str, rounding: Any) -> None:
    x = torch.randn(rows, width, generator=torch.Generator().manual_seed(rows * width))
    settings = {"generator": KEY} if rounding == "stochastic" else {}
    expected = get_format(name).fake_quantize(x, 1, granularity="row", rounding=rounding, **settings)
    found = packed(x, name, rounding)
    assert torch.equal(found.dense(), expected)
    first = rows // 2
    part = torch.empty(rows - first, width)
    found.decode(first, rows, part)
    assert torch.equal(part, expected[first:])


@pytest.mark.parametrize(("name", "bytes_"), [("int8", 256), ("int4", 128), ("int2", 64), ("int3", 96)])
def test_a_row_takes_its_bits_and_eight_bytes_of_range(name: str, bytes_: int) -> None:
    assert packed(torch.rand(50, 256), name).nbytes == 50 * (bytes_ + 8)


def test_a_row_of_one_value_is_that_value() -> None:
    assert torch.equal(packed(torch.zeros(3, 5), "int4").dense(), torch.zeros(3, 5))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_what_is_not_finite_is_said(bad: float) -> None:
    x = torch.zeros(4, 4)
    x[2, 1] = bad
    with pytest.raises(NonFiniteError):
        packed(x, "int4")


def test_a_grid_beyond_float32_is_left_to_others() -> None:
    x = torch.tensor([[-3.4e38, 3.4e38]])
    format = get_format("int8")
    assert isinstance(format, GridFormat)
    assert pack_rows(x, format, make_rounding("nearest", None)) is None
