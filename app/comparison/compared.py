"""A Compare view worked out on the store's runs: groups, facets with their bands, what somebody picked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import pandas as pd

from app.charts.pareto import Axes, Band
from app.comparison.filters import Filters
from app.comparison.frames import Frame
from app.comparison.groups import GROUPINGS, WHOLE, gather, with_groups, with_metric
from app.comparison.hypervolume import family_shares
from app.comparison.results import KnownSpecs, is_field, with_fields
from app.comparison.statistics import ALIKE, PAIR, holm, paired_interval, paired_p
from app.comparison.view import FACETS, CompareView
from app.digits import number
from app.other_axes import Value, gaps_text, values_of
from engine.costs import DEFAULT
from engine.ledger.certainty import Certainty

Group = dict[str, Any]  # a row of app.comparison.groups.gather, None where nothing is known


@dataclass(frozen=True)
class Facet:
    """One chart: groups whose metrics can be compared, and what is near enough to their baseline."""

    title: str
    groups: list[Group]
    band: Band | None


@dataclass(frozen=True)
class Compared:
    """A view with its data."""

    view: CompareView
    runs: Frame
    """Of the chosen groups, with the column ``group``."""
    groups: list[Group]
    """The newest first."""
    gaps: str = ""
    """Which groups have no value on the axis, and why."""

    @property
    def finished(self) -> list[Group]:
        return [row for row in self.groups if row["n"]]

    @property
    def picked(self) -> list[Group]:
        """The picked groups that are shown, in the order in which they were picked."""
        found = {row["group_id"]: row for row in self.groups}
        return [found[group] for group in self.view.picked if group in found]

    def members(self, group: str) -> Frame:
        """The runs of a group that statistics count, by seed and fold."""
        runs = self.runs
        return runs[(runs["group"] == group) & runs["counted"]].sort_values(["seed", "fold", "run"], kind="stable")

    @property
    def facets(self) -> list[Facet]:
        """The charts, each of groups with one metric: another metric is another chart, whatever the facets are."""
        columns = FACETS[self.view.facets]
        parts: dict[tuple, list[Group]] = {}
        for row in self.finished:
            parts.setdefault((*(row[name] for name in columns), row["metric"], row["unit"]), []).append(row)
        several = len({key[:-2] for key in parts}) < len(parts)
        return [
            Facet(
                ", ".join([*key[:-2], *([str(key[-2])] if several else [])]),
                rows,
                baseline_band(rows, self.view.against, self.view.axes),
            )
            for key, rows in parts.items()
        ]

    def hypervolumes(self) -> Frame:
        """Each scheme family's share of each facet's chart (``app.comparison.hypervolume``)."""
        axes, found = self.view.axes, []
        for facet in self.facets:
            rows = [row for row in facet.groups if row[axes.column] is not None and row[axes.value] is not None]
            if not rows:
                continue
            shares = family_shares(
                [row["family"] for row in rows],
                [row[axes.column] for row in rows],
                [row[axes.value] for row in rows],
                higher_x=not axes.lower_is_better,
                higher_y=bool(rows[0]["higher_is_better"]),
            )
            found.append(shares.assign(facet=facet.title))
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def compare(every: Frame, known: KnownSpecs, view: CompareView) -> Compared:
    """Work the view out on all results, in the view's scope and coverage. Raises StoreUnavailable.

    What a link groups by that is neither one of GROUPINGS nor a field of these specs is left out.
    """
    fields = [name for name in dict.fromkeys(view.by) if name not in GROUPINGS and is_field(known, name)]
    by = tuple(name for name in dict.fromkeys(view.by) if name in GROUPINGS or name in fields)
    view = replace(view, by=by or WHOLE)
    every = with_fields(every, known, fields)
    if view.metric is not None:
        every = with_metric(every, view.metric)
    chosen = view.filters.choose(every)
    gaps, certainties = "", {}
    if view.choice is not None and len(chosen):
        finished = list(chosen.loc[chosen["counted"], "group_id"].unique())
        values = values_of(view.choice, view.axes, finished, view.table, default=view.table.name == DEFAULT)
        gaps = gaps_text(values)
        chosen = chosen.assign(other=chosen["group_id"].map({group: each.value for group, each in values.items()}))
        chosen["other"] = chosen["other"].astype(float)
        certainties = values
    runs = with_groups(chosen, view.by)
    groups = gather(runs, every, by=view.by, against=view.against, value=view.axes.selection)
    if len(groups):
        groups["p_holm"] = holm(groups["p"])
    rows = records(groups)
    if certainties:
        _set_certainties(rows, runs, certainties)
    return Compared(view, runs, rows, gaps)


def narrow(compared: Compared, filters: Filters) -> Compared:
    """The same as with these filters from the beginning, of what was worked out without any on groups of one
    configuration: a filter chooses among those, and changes nothing in them but what all their tests at once make of p.
    """
    runs = compared.runs
    kept = set(runs.loc[filters.fit(runs), "group"].unique())
    groups = [row for row in compared.groups if row["group_id"] in kept]
    adjusted = holm([math.nan if row["p"] is None else row["p"] for row in groups])
    return replace(
        compared,
        view=replace(compared.view, filters=filters),
        runs=runs[runs["group"].isin(kept)],
        groups=[row | {"p_holm": None if math.isnan(p) else float(p)} for row, p in zip(groups, adjusted, strict=True)],
    )


def records(groups: Frame) -> list[Group]:
    """Rows as mappings, with None for what is not known."""
    return groups.astype(object).where(groups.notna(), None).to_dict("records")


def _set_certainties(rows: Sequence[Group], runs: Frame, values: Mapping[str, Value]) -> None:
    """How the least certain of a group's values is known; a group of which a part has no value has none."""
    order = [*get_args(Certainty), None]
    counted = runs[runs["counted"]]
    members = counted.groupby("group")["group_id"].unique()
    for row in rows:
        found = [values[each] for each in members.get(row["group_id"], ())]
        if not found or any(each.value is None for each in found):
            row["other"] = row["other_certainty"] = None
        else:
            row["other_certainty"] = max((each.certainty for each in found), key=order.index)


def baseline_band(rows: Sequence[Group], against: str, axes: Axes) -> Band | None:
    """What lies within 1 % of the best baseline: a point of a metric in percent, else a hundredth of its value."""
    baselines = [row for row in rows if row["scheme"] == against and row[axes.value] is not None]
    if not baselines:
        return None
    higher, unit = bool(rows[0]["higher_is_better"]), rows[0]["unit"]
    best = (max if higher else min)(row[axes.value] for row in baselines)
    near = 1.0 if unit == "%" else abs(best) / 100
    return Band(best - near, best + near, f"within 1 % of {against} ({number(best, unit)})")


def paired_difference(compared: Compared, first: str, second: str) -> dict[str, float | int]:
    """The first group less the second, seed by seed and fold by fold: n, mean, std, ci95 and p (paired t test).

    Where a group has several datasets, architectures or settings, partners share these too. Nothing is paired where
    that does not name one run of each group.
    """
    value = compared.view.axes.selection
    sides = [compared.members(group) for group in (first, second)]
    keys = [*(name for name in (*ALIKE, "settings") if any(side[name].nunique() > 1 for side in sides)), *PAIR]
    if any(side.duplicated(keys).any() for side in sides):
        sides = [side.iloc[:0] for side in sides]
    left, right = (side[[*keys, value]] for side in sides)
    both = left.merge(right, on=keys, suffixes=("_a", "_b"), validate="one_to_one")
    differences = (both[f"{value}_a"] - both[f"{value}_b"]).dropna()
    n, mean, std = len(differences), differences.mean(), differences.std()
    ci95, p = (float(find(n, mean, std)) for find in (paired_interval, paired_p))
    return {"n": n, "mean": mean, "std": std, "ci95": ci95, "p": p}


def group_labels(rows: Sequence[Group]) -> dict[str, str]:
    """A name for each group that no other of them has: its own or the scheme, then what differs, the end of its id."""
    parts = (
        ["name"]
        if all(row.get("name") for row in rows)
        else ["scheme", *(name for name in ("dataset", "model", "settings") if len({row[name] for row in rows}) > 1)]
    )
    labels = {row["group_id"]: " · ".join(str(row[name]) for name in parts if row[name]) for row in rows}
    names = list(labels.values())
    return {group: label if names.count(label) == 1 else f"{label} · {group[-5:]}" for group, label in labels.items()}


def is_whole(view: CompareView) -> bool:
    """Whether groups are those of one configuration."""
    return set(view.by) == set(WHOLE)
