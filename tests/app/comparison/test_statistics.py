"""Intervals and paired tests, against scipy's own."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from app.comparison.statistics import against_baseline, holm, interval, paired_interval, paired_p, spreads
from tests.app.comparison.runs import run, table

VALUES = st.lists(st.floats(-100, 100).map(lambda value: round(value, 3)), min_size=3, max_size=20)


@given(VALUES)
def test_intervals_are_students(values: list[float]) -> None:
    found = float(interval(len(values), np.std(values, ddof=1)))
    if np.std(values, ddof=1) > 1e-6:
        low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
        assert found == pytest.approx((high - low) / 2, rel=1e-9)
    assert math.isnan(float(interval(1, np.nan)))


@given(VALUES, st.integers(0, 1000))
def test_the_paired_test_is_scipys(values: list[float], seed: int) -> None:
    others = values + np.random.default_rng(seed).normal(0.5, 1, len(values))
    differences = np.subtract(values, others)
    found = float(paired_p(len(differences), differences.mean(), differences.std(ddof=1)))
    assert found == pytest.approx(stats.ttest_rel(values, others).pvalue, rel=1e-6)


@pytest.mark.parametrize(("n", "mean", "std"), [(1, 1.0, np.nan), (5, 1.0, 0.0), (0, np.nan, np.nan)])
def test_without_pairs_or_spread_nothing_is_tested(n: int, mean: float, std: float) -> None:
    assert math.isnan(float(paired_p(n, mean, std)))


@pytest.mark.parametrize("difference", [0.1, 1 / 3, -12.3])
def test_equal_differences_have_no_spread_whatever_rounding_leaves(difference: float) -> None:
    values = np.array([80.1, 79.3, 61.7, 33.333])
    differences = (values + difference) - values
    n, mean, std = len(differences), differences.mean(), differences.std(ddof=1)
    assert std > 0
    assert math.isnan(float(paired_p(n, mean, std)))
    assert math.isnan(float(paired_interval(n, mean, std)))
    assert float(paired_interval(4, 1.0, 0.5)) == float(interval(4, 0.5))


def test_holms_procedure_on_a_known_example() -> None:
    # 0.01 × 4; 0.013 × 3 is below it, so it is raised to it; 0.03 × 2; 0.9.
    assert holm([0.03, 0.01, 0.9, 0.013, np.nan]) == pytest.approx([0.06, 0.04, 0.9, 0.04, np.nan], nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_rejects_what_the_procedure_rejects(values: list[float]) -> None:
    """Step by step: the least p against 0.05 / n, the next against 0.05 / (n - 1), until one is not below."""
    rejected = []
    for place, index in enumerate(np.argsort(values, kind="stable")):
        if values[index] * (len(values) - place) > 0.05:
            break
        rejected.append(index)
    assert sorted(np.flatnonzero(holm(values) <= 0.05)) == sorted(rejected)


def test_spreads_are_by_group() -> None:
    found = spreads(pd.DataFrame({"test": [1.0, 2.0, 6.0, 5.0]}), pd.Series(["a", "a", "a", "b"]))
    assert found.loc["a", "test_mean"] == 3
    assert found.loc["a", "test_std"] == pytest.approx(np.std([1, 2, 6], ddof=1))
    assert found.loc["a", "test_n"] == 3
    assert math.isnan(found.loc["b", "test_std"])


def test_a_partner_has_the_same_seed_fold_dataset_and_architecture() -> None:
    every = table(
        *(run("fp32", seed, fold=fold, test=80 + seed + fold) for seed in (0, 1) for fold in (0, 1)),
        *(run("fp32", seed, fold=0, test=50, dataset="citeseer") for seed in (0, 1)),
        run("int8", 0, fold=1, test=80.5),
        run("int8", 1, fold=0, test=80.0),
        run("int8", 7, fold=0, test=99.0),
        run("int8", 0, fold=0, test=99.0, model="gat"),
    )
    found = against_baseline(every, every, "fp32", "test")
    chosen = every["scheme"] == "int8"
    assert found[chosen].tolist() == pytest.approx([-0.5, -1.0, np.nan, np.nan], nan_ok=True)
    assert found[~chosen].isna().all()


def test_the_baseline_with_the_same_settings_comes_first_then_the_largest() -> None:
    every = table(
        *(run("fp32", seed, test=70, settings="lr=1") for seed in range(3)),
        run("fp32", 0, test=60, settings="lr=2"),
        run("int8", 0, test=75, settings="lr=2"),
        run("int8", 0, test=75, settings="lr=3"),
    )
    assert against_baseline(every, every, "fp32", "test").tolist()[-2:] == [15, 5]
