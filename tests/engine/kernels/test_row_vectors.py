"""Rows in registers: sums in the entries' order for every width, and scaling that may be in place."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numba.core.errors import TypingError

from engine.kernels.jit import kernel
from engine.kernels.row_vectors import scale_row, sum_row
from engine.kernels.sparse import SparseOperand

WIDTHS = [*range(1, 41), 63, 64, 65, 71, 72, 96, 100, 127, 128, 130]


@kernel
def _sum_rows(values, x, width, columns, starts, out):
    for i in range(starts.size - 1):
        sum_row(values, x, width, columns, starts[i], starts[i + 1], out, i * width)


@kernel
def _scale_rows(x, factors, out, width):
    for i in range(factors.size):
        scale_row(x, factors[i], out, i * width, width)


def _expected(values: np.ndarray | None, x: np.ndarray, columns: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """One entry after the other, each product and each sum rounded."""
    out = np.zeros((starts.size - 1, x.shape[1]), x.dtype)
    for i in range(starts.size - 1):
        for p in range(starts[i], starts[i + 1]):
            out[i] += x[columns[p]] if values is None else values[p] * x[columns[p]]
    return out


@pytest.mark.parametrize("columns_of", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.sampled_from(WIDTHS), st.integers(0, 2**31), st.booleans())
def test_sums_are_those_of_the_entries_in_their_order(
    dtype: type, columns_of: type, width: int, seed: int, weighted: bool
):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(5, width)).astype(dtype)
    starts = np.cumsum([0, *rng.integers(0, 7, size=6)])
    columns = rng.integers(0, 5, size=starts[-1]).astype(columns_of)
    values = rng.normal(size=starts[-1]).astype(dtype) if weighted else None
    # Beyond the rows nothing may be written.
    out = np.full(6 * width + 16, 7, dtype)
    _sum_rows(values, x.reshape(-1), width, columns, starts, out)
    np.testing.assert_array_equal(out[: 6 * width].reshape(6, width), _expected(values, x, columns, starts))
    np.testing.assert_array_equal(out[6 * width :], 7)


@given(st.sampled_from(WIDTHS), st.integers(0, 2**31), st.booleans())
def test_each_row_is_scaled_once_also_in_place(width: int, seed: int, in_place: bool):
    rng = np.random.default_rng(seed)
    x, factors = rng.normal(size=(4, width)).astype(np.float32), rng.normal(size=4).astype(np.float32)
    expected = x * factors[:, None]
    room = np.full(4 * width + 16, 7, np.float32)
    room[: 4 * width] = x.reshape(-1)
    out = room if in_place else np.full_like(room, 7)
    _scale_rows(room, factors, out, width)
    np.testing.assert_array_equal(out[: 4 * width].reshape(4, width), expected)
    np.testing.assert_array_equal(out[4 * width :], 7)


def test_types_that_differ_are_refused_and_not_written_beyond_the_end():
    x, out = np.ones((2, 8)), np.zeros(16, np.float32)
    with pytest.raises(TypingError, match=r"rows are of float32 or of float64, all of one, not of float32, float64"):
        _sum_rows(None, x.reshape(-1), 8, np.zeros(1, np.int64), np.array([0, 1, 1]), out)


def test_a_sparse_matrix_of_float64_gives_float64():
    operand = SparseOperand(torch.tensor([0, 1, 2]), torch.tensor([1, 0]), torch.tensor([2.0, 3.0]).double(), 2)
    weight = torch.tensor([[1.0, 10.0], [0.5, 0.25], [7.0, 9.0]])
    expected = torch.tensor([[20.0, 0.5, 18.0], [3.0, 1.5, 21.0]], dtype=torch.float64)
    torch.testing.assert_close(operand.multiply(weight), expected, rtol=0, atol=0)
