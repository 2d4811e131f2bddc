"""Attention in registers: the same sums, bit for bit, as one entry after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.edge_vectors import dot, sum_heads
from engine.kernels.jit import kernel

SHAPES = [
    *((1, width) for width in (*range(1, 41), 63, 64, 65, 100)),
    *((heads, 8) for heads in (2, 3, 4, 7, 8, 9, 12, 13, 16)),
    *((heads, width) for heads in (2, 8) for width in (1, 2, 3, 5, 7, 9, 16, 17, 33)),
]


@kernel
def _sum_rows(weights, heads, x, across, columns, edges, starts, out):
    for i in range(starts.size - 1):
        sum_heads(weights, heads, x, across, columns, edges, starts[i], starts[i + 1], out, i * across)


@kernel
def _dots(a, b, width, out):
    for i in range(out.size):
        out[i] = dot(a, i * width, b, i * width, width)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.sampled_from(SHAPES), st.integers(0, 2**31))
def test_weighted_sums_are_those_of_the_entries_in_their_order(dtype: type, shape: tuple[int, int], seed: int):
    heads, width = shape
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(5, heads, width)).astype(dtype)
    starts = np.cumsum([0, *rng.integers(0, 7, size=6)])
    columns = rng.integers(0, 5, size=starts[-1]).astype(np.int32)
    edges = rng.permutation(starts[-1]).astype(np.int32)
    weights = rng.normal(size=(starts[-1], heads)).astype(dtype)
    expected = np.zeros((6, heads, width), dtype)
    for i in range(6):
        for p in range(starts[i], starts[i + 1]):
            expected[i] += weights[edges[p], :, None] * x[columns[p]]
    # Beyond the rows nothing may be written.
    out = np.full(6 * heads * width + 16, 7, dtype)
    _sum_rows(weights.reshape(-1), heads, x.reshape(-1), heads * width, columns, edges, starts, out)
    np.testing.assert_array_equal(out[:-16], expected.reshape(-1))
    np.testing.assert_array_equal(out[-16:], 7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.integers(1, 70), st.integers(0, 2**31))
def test_dot_products_are_four_sums_side_by_side(dtype: type, width: int, seed: int):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 3, width)).astype(dtype)
    out = np.empty(3, dtype)
    _dots(a.reshape(-1), b.reshape(-1), width, out)
    for i in range(3):
        sums, whole = np.zeros(4, dtype), width // 4 * 4
        for k in range(width):
            sums[k % 4 if k < whole else 0] += a[i, k] * b[i, k]
        assert out[i] == (sums[0] + sums[1]) + (sums[2] + sums[3])
