"""Median and 95th percentile of a model's passes."""

from __future__ import annotations

from itertools import count

import pytest

from engine.measure.latency import LEAST, MOST, WARM, latency_of


def test_the_first_passes_do_not_count():
    numbers = count()
    found = latency_of(lambda: 100.0 if next(numbers) < WARM else 1.0)
    assert (found.median, found.p95) == (1.0, 1.0)
    assert LEAST <= found.passes <= MOST


def test_median_and_95th_percentile():
    numbers = count(-WARM)
    found = latency_of(lambda: float(next(numbers)))
    assert found.passes == MOST  # nothing to wait for: as many as are allowed
    assert (found.median, found.p95) == (249.5, pytest.approx(474.05))
