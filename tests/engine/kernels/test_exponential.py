"""e^x in a loop: the nearest float32, and nothing that is not a number hidden."""

from __future__ import annotations

import numpy as np
import pytest

from engine.kernels.exponential import LEAST, SEGMENT, exponential


def test_it_is_rounded_to_the_nearest():
    """float64's e^x rounded; where that lies as good as between two values, the other one may come."""
    x = np.linspace(-87, 88, 400_003, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    found = x.copy()
    exponential(found)
    assert np.max(np.abs(found - exact) / np.spacing(exact.astype(np.float32))) < 0.5001
    assert np.count_nonzero(found != exact.astype(np.float32)) < 10


@pytest.mark.parametrize("size", [0, 1, SEGMENT - 1, SEGMENT, SEGMENT + 1])
def test_zero_gives_one_everywhere(size: int):
    x = np.zeros(size, np.float32)
    exponential(x)
    np.testing.assert_array_equal(x, np.ones(size, np.float32))


def test_what_is_too_small_is_next_to_nothing_and_nan_stays():
    x = np.array([-1e4, -np.inf, LEAST, np.nan], np.float32)
    exponential(x)
    assert x[0] == x[1] == x[2]
    assert 0 < x[2] < 2e-38
    assert np.isnan(x[3])
