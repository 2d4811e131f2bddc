"""Runs gathered into groups: by their whole configuration, or by whatever else than the seed somebody chooses."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

import pandas as pd

from app.comparison.frames import Column, Frame
from app.comparison.statistics import against_baseline, paired_interval, paired_p, spreads
from app.phrases import count

WHOLE = ("Dataset", "Architecture", "Scheme", "Settings")
"""The whole configuration: what differs is the seed, or the fold."""

GROUPINGS: Mapping[str, str] = {
    "Dataset": "dataset",
    "Architecture": "model",
    "Scheme": "scheme",
    "Scheme family": "family",
    "Settings": "settings",
    "Task": "task",
    "Sweep": "sweep",
    "State": "state",
    "Device": "device",
    "Host": "host",
}
"""What runs can be grouped by, beside any field of their specs, with the column of the results."""

NOUNS = {"model": "architecture", "settings": "setting"}
"""What several values of a column that is not grouped by are called, where not by its own name."""

PLURALS = {"family": "families"}

SELECTIONS: Mapping[str, str] = {
    "test": "at best validation",
    "last": "at last epoch",
    "max": "best of all epochs, never the headline",
    "val": "best validation",
}
"""The columns of a run's metric, with how each was selected."""

MEANS = (
    *("memory_density", "arithmetic_density", "memory_density_thesis", "arithmetic_density_thesis"),
    *("peak_memory_density", "average_bits", "seconds", "peak_memory", "other"),
)
UNFINISHED = ("queued", "running", "cancelling")


def with_groups(runs: Frame, by: Sequence[str] = WHOLE) -> Frame:
    """The runs with the id of their group in the column ``group``. A group never mixes metrics.

    ``by``: names of GROUPINGS, or of columns that the results have (dotted fields of the spec).
    """
    if set(by) == set(WHOLE):
        return runs.assign(group=runs["group_id"])
    keys = [GROUPINGS.get(name, name) for name in by]
    parts = runs[list(dict.fromkeys([*keys, "metric", "unit"]))].fillna("–")
    numbers = parts.groupby(list(parts), sort=False).ngroup()
    firsts = parts.assign(number=numbers).drop_duplicates("number").set_index("number")
    ids = {number: _id([*keys, *map(str, firsts.loc[number])]) for number in firsts.index}
    return runs.assign(group=numbers.map(ids))


def _id(parts: Sequence[str]) -> str:
    return f"by{hashlib.sha256(chr(0).join(parts).encode()).hexdigest()[:12]}"


def with_metric(runs: Frame, name: str) -> Frame:
    """The runs with another test metric at best validation ("name (unit)") in the place of their own.

    The other selections are not known of it, and which direction is better is taken from the run's own metric.
    """
    values = {text: json.loads(text).get(name) for text in runs["also"].dropna().unique()}
    title, _, unit = name.partition(" (")
    return runs.assign(
        test=runs["also"].map(values).astype(float),
        last=float("nan"),
        max=float("nan"),
        val=float("nan"),
        metric=title,
        unit=unit.removesuffix(")"),
    )


def gather(
    runs: Frame, every: Frame, *, by: Sequence[str] = WHOLE, against: str = "fp32", value: str = "test"
) -> Frame:
    """One row a group, in the order of its newest run: who it is, its statistics, its difference to the baseline.

    ``runs``: with the column ``group``; ``every``: where baselines are looked for (``app.comparison.statistics``). Only
    ``counted`` runs enter statistics; ``n`` is their number, and a group without any has ``n`` = 0. A column that is
    not grouped by and holds several values says how many; ``name`` is what a group of less than the whole configuration
    is called. Differences are means of run by run ones in the metric
    ``value``, with ``p`` of the paired t test.
    """
    if not len(runs):
        return pd.DataFrame()
    counted = runs[runs["counted"]]
    groups = counted["group"]
    about = runs.groupby("group", sort=False)
    found = about[["metric", "unit", "higher_is_better", "caveat"]].first()
    found["synthetic"] = about["synthetic"].any()
    found["newest"] = about["submitted_at"].max()
    for name in ("dataset", "model", "scheme", "family", "settings", "sweep", "device", "host", "task"):
        found[name] = _common(runs, name)
    for label in by:
        column = GROUPINGS.get(label, label)
        if column not in found:
            found[column] = about[column].first()
    if set(by) != set(WHOLE):
        columns = [GROUPINGS.get(label, label) for label in by]
        found["name"] = found[columns].fillna("–").astype(str).agg(" · ".join, axis=1)
    state = runs["state"]
    found["unfinished"] = state.isin(UNFINISHED).groupby(runs["group"], sort=False).sum()
    found["failed"] = (state == "failed").groupby(runs["group"], sort=False).sum()
    found["n"] = groups.value_counts().reindex(found.index, fill_value=0)
    found["seeds"] = counted.groupby("group")["seed"].nunique().reindex(found.index, fill_value=0)
    found = found.join(spreads(counted[list(SELECTIONS)], groups).drop(columns=["last_n", "max_n", "val_n"]))
    means = counted[[name for name in MEANS if name in counted]].astype(float).groupby(groups, sort=False).mean()
    found = found.join(means.rename(columns={"seconds": "seconds_mean", "peak_memory": "peak_memory_mean"}))
    found["parameters"] = counted.groupby("group")["parameters"].max()
    # The least certain of the members': extrapolated, interpolated, published.
    found["arithmetic_label"] = counted.groupby("group")["arithmetic_label"].min()
    differences = against_baseline(counted, every[every["counted"]], against, value).groupby(groups, sort=False)
    found["pairs"] = differences.count()
    found["difference"], found["difference_std"] = differences.mean(), differences.std()
    found["pairs"] = found["pairs"].fillna(0).astype(int)
    found["difference_ci95"] = paired_interval(found["pairs"], found["difference"], found["difference_std"])
    found["p"] = paired_p(found["pairs"], found["difference"], found["difference_std"])
    found.index.name = "group_id"
    return found.sort_values("newest", ascending=False, kind="stable").reset_index()


def _common(runs: Frame, name: str) -> Column:
    """By group: the value that all of it has in a column, or how many it has."""
    by = runs.groupby("group", sort=False)[name]
    several = by.nunique()
    first = by.first().astype(object)
    noun = NOUNS.get(name, name)
    return first.where(several <= 1, several.map(lambda n: count(n, noun, PLURALS.get(name)))).where(several > 0, "")
