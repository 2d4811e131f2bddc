"""Means over seeds and folds with their intervals, differences to a baseline with their significance."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from app.comparison.frames import Column, Frame

Numbers = NDArray[np.float64]


def interval(n: ArrayLike, std: ArrayLike) -> Numbers:
    """Half widths of the 95 % intervals of means (Student's t), of sample standard deviations over n values each."""
    counts, deviations = np.asarray(n, dtype=float), np.asarray(std, dtype=float)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 1, stdtrit(counts - 1, 0.975) * deviations / np.sqrt(counts), np.nan)


def has_spread(mean: ArrayLike, std: ArrayLike) -> NDArray[np.bool_]:
    """Whether a sample standard deviation is more than rounding leaves of values that are all alike."""
    return np.asarray(std, dtype=float) > 1e-9 * np.maximum(1, np.abs(np.asarray(mean, dtype=float)))


def paired_interval(n: ArrayLike, mean: ArrayLike, std: ArrayLike) -> Numbers:
    """Half widths of the 95 % intervals of mean differences; not a number where all differences are alike."""
    return np.where(has_spread(mean, std), interval(n, std), np.nan)


def paired_p(n: ArrayLike, mean: ArrayLike, std: ArrayLike) -> Numbers:
    """Two-sided p of a paired t test, by the number, mean and sample standard deviation of the differences.

    Not a number where there are fewer than two, or where all are alike: then there is no spread to judge by.
    """
    counts, means, deviations = (np.asarray(each, dtype=float) for each in (n, mean, std))
    with np.errstate(invalid="ignore", divide="ignore"):
        t = means / (deviations / np.sqrt(counts))
        return np.where((counts > 1) & has_spread(means, deviations), 2 * stdtr(counts - 1, -np.abs(t)), np.nan)


def holm(p: ArrayLike) -> Numbers:
    """The p values for all of them being tested at once (Holm 1979): least times n, next times n - 1 …, never falling.

    Those that are no numbers were not tested, and do not count.
    """
    values = np.asarray(p, dtype=float)
    adjusted = np.full(values.shape, np.nan)
    order = np.argsort(values)[: np.count_nonzero(np.isfinite(values))]
    steps = values[order] * np.arange(order.size, 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def spreads(values: Frame, groups: Column) -> Frame:
    """Of each column, by group: ``{column}_mean``, ``{column}_std``, ``{column}_ci95`` and ``{column}_n``."""
    by = values.groupby(groups, sort=False)
    means, deviations, counts = by.mean(), by.std(), by.count()
    return pd.concat(
        [
            means.add_suffix("_mean"),
            deviations.add_suffix("_std"),
            pd.DataFrame(interval(counts, deviations), counts.index, counts.columns).add_suffix("_ci95"),
            counts.add_suffix("_n"),
        ],
        axis=1,
    )


ALIKE = ["dataset", "model"]
PAIR = ["seed", "fold"]


def against_baseline(runs: Frame, every: Frame, scheme: str, value: str) -> Column:
    """Each run's ``value`` less that of its partner: the baseline's run of the same seed and fold.

    ``every``: where baselines are looked for, the counted runs of all groups, whatever is filtered. The baseline of a
    group is this ``scheme`` on the same dataset and architecture with the same settings; where none has the same
    settings, the one that has most runs. Not a number where there is no partner, and for the baseline itself.
    """
    candidates = every[every["scheme"] == scheme]
    sizes = candidates.groupby([*ALIKE, "settings", "group_id"], sort=True).size().reset_index(name="size")
    largest = sizes.sort_values("size", ascending=False, kind="stable")
    same = largest.drop_duplicates([*ALIKE, "settings"])[[*ALIKE, "settings", "group_id"]]
    usual = largest.drop_duplicates(ALIKE)[[*ALIKE, "group_id"]]
    found = (
        runs[[*ALIKE, "settings", *PAIR, "scheme", value]]
        .merge(same.rename(columns={"group_id": "same"}), how="left", on=[*ALIKE, "settings"])
        .merge(usual.rename(columns={"group_id": "usual"}), how="left", on=ALIKE)
    )
    found["partner"] = found["same"].fillna(found["usual"])
    theirs = candidates[["group_id", *PAIR, value]].rename(columns={"group_id": "partner", value: "theirs"})
    found = found.merge(theirs.drop_duplicates(["partner", *PAIR]), how="left", on=["partner", *PAIR])
    difference = (found[value] - found["theirs"]).where(found["scheme"] != scheme)
    return pd.Series(difference.to_numpy(), index=runs.index, name="difference")
