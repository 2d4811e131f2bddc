"""Which groups of runs Compare shows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pandas as pd

from app.comparison.frames import Column, Frame


@dataclass(frozen=True)
class Filters:
    """What somebody asked for; an empty field asks for nothing."""

    dataset: Sequence[str] = ()
    task: Sequence[str] = ()
    model: Sequence[str] = ()
    family: Sequence[str] = ()
    scheme: Sequence[str] = ()
    tag: Sequence[str] = ()
    sweep: Sequence[str] = ()
    state: Sequence[str] = ()
    since: date | None = None
    until: date | None = None
    """The last day that fits; days are those of UTC, when runs were submitted."""
    text: str = ""

    @property
    def any(self) -> bool:
        """Whether something is asked for."""
        return self != Filters()

    def fit(self, runs: Frame) -> Column:
        """Which of these runs fit (``app.comparison.results``)."""
        mask = pd.Series(True, index=runs.index)
        columns = {
            "dataset_name": self.dataset,
            "task": self.task,
            "model_name": self.model,
            "family": self.family,
            "scheme": self.scheme,
            "state": self.state,
        }
        for name, wanted in columns.items():
            if wanted:
                mask &= runs[name].isin(list(wanted))
        # A run stands for cells of other sweeps than the one that launched it.
        for name, wanted in (("tags", self.tag), ("sweeps", self.sweep)):
            if wanted:
                mask &= _share_some(runs[name], frozenset(wanted))
        submitted = runs["submitted_at"]
        if self.since:
            mask &= submitted >= pd.Timestamp(self.since, tz="UTC")
        if self.until:
            mask &= submitted < pd.Timestamp(self.until + timedelta(days=1), tz="UTC")
        if self.text:
            mask &= runs["about"].str.contains(self.text.lower(), regex=False)
        return mask

    def choose(self, runs: Frame) -> Frame:
        """The runs of the groups that have a run that fits.

        A filter chooses groups and never which of a group's runs count: a mean over some of the seeds is another.
        """
        if not self.any:
            return runs
        return runs[runs["group_id"].isin(runs.loc[self.fit(runs), "group_id"].unique())]


def _share_some(lists: Column, wanted: frozenset[str]) -> Column:
    return lists.map(lambda found: found is not None and not wanted.isdisjoint(found)).astype(bool)


def options_of(runs: Frame) -> dict[str, list[str]]:
    """What occurs in the columns that can be filtered by, the most frequent first."""
    names = {"dataset": "dataset_name", "model": "model_name", "family": "family", "task": "task", "scheme": "scheme"}
    found = {name: list(runs[column].value_counts().index) for name, column in names.items()}
    found["sweep"] = list(runs["sweeps"].explode().dropna().value_counts().index)
    found["tag"] = list(runs["tags"].explode().dropna().value_counts().index)
    return found


def also_metrics(runs: Frame) -> list[str]:
    """Further test metrics at best validation that runs have, by name."""
    return list(dict.fromkeys(name for text in runs["also"].dropna().unique()[:2000] for name in json.loads(text)))
