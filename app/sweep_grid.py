"""A sweep's grid as people look at it: schemes down, datasets and architectures across, how far each cell is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.describe import spec_texts
from app.phrases import count, duration
from engine.spec import RunSpec

STATES = ("finished", "running", "cancelling", "queued", "failed", "cancelled", "missing")
"""What the runs of a cell can be, in the order in which it is told; missing: no run stands for it."""
OVER = frozenset({"finished", "failed", "cancelled", "missing"})

Row = Mapping[str, Any]  # a run of a sweep's grid as the store's query `sweep_cells` gives it


@dataclass(frozen=True)
class Cell:
    """The runs of one scheme at one place, whatever their seeds and folds."""

    states: Mapping[str, int]
    runs: tuple[str, ...]
    """The ids of those that there are."""

    @property
    def total(self) -> int:
        return sum(self.states.values())

    @property
    def finished(self) -> int:
        return self.states.get("finished", 0)

    @property
    def state(self) -> str:
        """One word for all of it: finished only where every run is, else what needs a person, else what goes on."""
        order = ("failed", "running", "cancelling", "queued", "missing", "cancelled", "finished")
        return next(state for state in order if self.states.get(state))

    @property
    def text(self) -> str:
        """ "10 of 10", "7 of 10 · 2 failed · 1 missing"."""
        rest = [f"{self.states[state]} {state}" for state in STATES[1:] if self.states.get(state)]
        return " · ".join([f"{self.finished} of {self.total}", *rest])


@dataclass(frozen=True)
class Grid:
    """Cells by scheme and place; where a scheme is not trained at a place there is none."""

    schemes: tuple[str, ...]
    places: tuple[str, ...]
    cells: Mapping[tuple[str, str], Cell]


def make_grid(rows: Sequence[Row], specs: Sequence[RunSpec] = ()) -> Grid:
    """The grid of a sweep's ``sweep_cells`` rows, in their order.

    ``specs``: one of each seed group, so that places of one dataset and architecture are told apart by their settings.
    """
    names = _places(rows, specs)
    states: dict[tuple[str, str], Counter[str]] = {}
    runs: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        key = row["scheme"], names[row["group_id"]]
        states.setdefault(key, Counter())[row["state"]] += 1
        runs.setdefault(key, []).extend([row["run"]] if row["run"] and row["state"] != "missing" else [])
    return Grid(
        tuple(dict.fromkeys(scheme for scheme, _ in states)),
        tuple(dict.fromkeys(place for _, place in states)),
        {key: Cell(found, tuple(runs[key])) for key, found in states.items()},
    )


def _places(rows: Sequence[Row], specs: Sequence[RunSpec]) -> dict[str, str]:
    """The name of each group's place: dataset and architecture, with settings where these do not tell."""
    groups = {row["group_id"]: (row["dataset"], row["model"], row["scheme"]) for row in rows}
    several = {key[:2] for key, n in Counter(groups.values()).items() if n > 1}
    known = {spec.group: spec for spec in specs}
    names: dict[str, str] = {}
    for group, (dataset, model, _) in groups.items():
        names[group] = f"{dataset} · {model}"
        if (dataset, model) in several and group in known:
            names[group] = " · ".join(text for text in spec_texts(known[group].to_json()) if text)
    return names


def counts_text(row: Mapping[str, Any]) -> str:
    """A sweep of the query `sweeps` in a line: "412 of 720 runs finished · 2 running · 300 queued · 6 failed"."""
    rest = [f"{row[state]} {state}" for state in STATES[1:] if row.get(state)]
    return " · ".join([f"{row['finished']} of {row['total']} runs finished", *rest])


def left_text(row: Mapping[str, Any], workers: int) -> str:
    """When a sweep will be done, from what finished runs of its datasets took; empty where nothing goes on."""
    if not row["running"] + row["queued"]:
        return ""
    if row["seconds_left"] is None:
        return "time left unknown: nothing has finished yet"
    if not workers:
        return f"about {duration(row['seconds_left'])} of work left, and no worker is alive"
    busy = min(workers, row["running"] + row["queued"])
    return f"about {duration(shared_time(row['seconds_left'], workers, busy))} left on {count(busy, 'worker')}"


def shared_time(seconds: float, workers: int, runs: int) -> float:
    """Seconds of work shared by the workers that are alive, of which each run takes one; with none, all of it."""
    return seconds / max(min(workers, runs), 1)


def budget_text(row: Mapping[str, Any]) -> str:
    """What of a sweep's budget is spent; empty where it has none."""
    said = []
    if row["most_hours"] is not None:
        spent = f"{row['hours']:.2f} of {row['most_hours']:g} worker hours spent"
        over = row["hours"] >= row["most_hours"] and row["finished"] < row["total"]
        said.append(spent + (": what was not done is cancelled" if over else ""))
    if row["most_runs"] is not None:
        said.append(f"at most {row['most_runs']} runs" + (f": {row['missing']} left out" if row["missing"] else ""))
    return " · ".join(said)
