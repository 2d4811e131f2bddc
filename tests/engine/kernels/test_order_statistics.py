"""The k-th least and largest equal sorting's, and a sample of rows that were not copied equals that of a copy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from engine.kernels.order_statistics import MOST, every_nth_of_rows, order_statistics

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(arrays.arrays(np.float32, st.integers(1, 200), elements=FINITE), st.data())
def test_both_ranks_are_those_of_the_sorted_values(values: np.ndarray, data: st.DataObject) -> None:
    low, high = (data.draw(st.integers(1, values.size)) for _ in range(2))
    ordered = np.sort(values)
    assert order_statistics(torch.from_numpy(values), low, high) == (ordered[low - 1], ordered[high - 1])


@pytest.mark.parametrize("rank", [1, MOST, MOST + 1])
@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled", "equal"])
def test_either_way_gives_the_same_whatever_the_order(rank: int, order: str) -> None:
    ordered = torch.arange(3 * MOST, dtype=torch.float32) if order != "equal" else torch.ones(3 * MOST)
    shuffled = torch.randperm(3 * MOST, generator=torch.Generator().manual_seed(0))
    places = {"descending": torch.arange(3 * MOST).flip(0), "shuffled": shuffled}.get(order, torch.arange(3 * MOST))
    found = order_statistics(ordered[places], rank, 3 * MOST - rank + 1)
    assert found == (float(ordered[rank - 1]), float(ordered[-rank]))


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("rank", [1, MOST + 1])
def test_what_is_not_finite_has_no_ranks(bad: float, rank: int) -> None:
    values = torch.zeros(2 * MOST + 2)
    values[7] = bad
    assert order_statistics(values, rank, values.numel() - rank + 1) is None


@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 20), st.data())
def test_a_sample_of_rows_is_the_sample_of_their_copy(rows: int, width: int, stride: int, data: st.DataObject) -> None:
    x = torch.arange(rows * width, dtype=torch.float32).view(rows, width)
    kept = torch.tensor(data.draw(st.lists(st.integers(0, rows - 1), min_size=1, unique=True).map(sorted)))
    expected = x[kept].reshape(-1)[::stride]
    assert torch.equal(every_nth_of_rows(x, kept, stride), expected)
    assert torch.equal(every_nth_of_rows(x.t().contiguous().t(), kept, stride), expected)
