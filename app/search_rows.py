"""What the search page shows, from the store's rows: candidates with their saving, who is compared with whom."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from app.clone import PARENT, clone_parameters
from engine.costs import default_table
from engine.errors import InputError
from engine.ledger.figures import FIGURES, Ledger
from engine.ledger.runs import run_ledger, trained_size
from engine.search.file import fp32_of, read_search
from engine.spec import RunSpec

Row = Mapping[str, Any]

OVER = ("finished", "failed", "cancelled")


@dataclass(frozen=True)
class Candidate:
    """A configuration that was measured in full, in the order of asking."""

    scheme: str
    run: str
    batch: int
    cost: float
    value: float
    predicted: float | None
    saving: float | None
    """fp32's cost over its own; None where fp32's is not known yet."""


@dataclass(frozen=True)
class Told:
    """A search as far as it has come."""

    search: str
    title: str
    algorithm: str
    granularity: str
    """The space's; "own" where it is a scheme with gaps."""
    reference: float | None
    """fp32's validation metric, fine-tuned as candidates are."""
    fp32_cost: float | None
    epsilon: float | None
    budget: float | None
    figure: str
    unit: str
    metric: str
    higher_is_better: bool
    candidates: tuple[Candidate, ...]

    def is_met(self, candidate: Candidate) -> bool:
        """Whether it keeps the goal in validation."""
        if self.budget is not None:
            return candidate.cost <= self.budget
        if self.epsilon is None or self.reference is None:
            return False
        drop = self.reference - candidate.value
        return (drop if self.higher_is_better else -drop) <= self.epsilon + 1e-9

    @property
    def best_savings(self) -> list[float | None]:
        """The best saving that keeps the goal among the first n candidates, n = 1, 2, …"""
        best: float | None = None
        found: list[float | None] = []
        for each in self.candidates:
            if each.saving is not None and self.is_met(each) and (best is None or each.saving > best):
                best = each.saving
            found.append(best)
        return found


def told(row: Row, trials: Sequence[Row], provenance: str | None = None) -> Told:
    """A search from its row, its trials, and its fp32 run's provenance (JSON), by which fp32's cost is known."""
    file = json.loads(row["file"])
    reference = next((each for each in trials if each["stage"] == "reference"), None)
    cost = fp32_cost(file, provenance)
    baseline = next((each for each in trials if each["stage"] == "baseline" and each["val_best"] is not None), None)
    known = baseline or reference or {}
    return Told(
        search=row["search"],
        title=f"{row['name']} ({row['search'][-4:]})",
        algorithm=file["algorithm"],
        granularity=file["space"].get("granularity") or "own",
        reference=known.get("val_best"),
        fp32_cost=cost,
        epsilon=file.get("epsilon"),
        budget=cost / file["saving"] if cost and file.get("saving") else file.get("budget"),
        figure=file["figure"],
        unit=known.get("unit") or "",
        metric=known.get("metric") or "metric",
        higher_is_better=known.get("higher_is_better") is not False,
        candidates=tuple(
            Candidate(
                scheme=each["scheme"],
                run=each["run"],
                batch=each["batch"],
                cost=each["cost"],
                value=each["val_best"],
                predicted=each["predicted"],
                saving=cost / each["cost"] if cost and each["cost"] else None,
            )
            for each in trials
            if each["stage"] == "measure" and each["val_best"] is not None and each["cost"] is not None
        ),
    )


def fp32_cost(file: Mapping[str, Any], provenance: str | None) -> float | None:
    """What fp32 costs on the data that the search's fp32 run trained on; None before it has begun."""
    size = trained_size(json.loads(provenance or "{}"))
    if size is None:
        return None
    try:
        spec = fp32_of(read_search(file))
        return FIGURES[file["figure"]].compute(Ledger(run_ledger(spec, size), default_table()))
    except (InputError, KeyError):  # a file of another version, or of data that is not installed here
        return None


def alike(row: Row, rows: Sequence[Row]) -> list[Row]:
    """The searches of the same dataset, task, architecture and cost, itself first."""
    file = json.loads(row["file"])
    task = _task(json.dumps(file["spec"]))
    others = [
        each
        for each in rows
        if each["search"] != row["search"]
        and (each["dataset"], each["model"]) == (row["dataset"], row["model"])
        and (own := json.loads(each["file"]))["figure"] == file["figure"]
        and _task(json.dumps(own["spec"])) == task
    ]
    return [row, *others]


@lru_cache(maxsize=1024)
def _task(spec: str) -> str | None:
    """The name of the task in a search's spec (JSON), the dataset's own where it says none; None: not known here."""
    try:
        return RunSpec.parse(json.loads(spec)).task.name
    except InputError:
        return None


def of_one_goal(searches: Sequence[Told]) -> list[Told]:
    """Those with the goal of the first, whose savings can be compared."""
    return [each for each in searches if (each.epsilon, each.budget) == (searches[0].epsilon, searches[0].budget)]


def winner_parameters(row: Row, trials: Sequence[Row]) -> dict[str, str]:
    """The parameters of Launch for the row of a search with its winning scheme, cloned from the winner's last run."""
    scheme = json.loads(row["result"])["scheme"]
    try:
        spec = RunSpec.parse({**json.loads(row["file"])["spec"], "scheme": scheme})
    except InputError:  # a dataset that is not here
        return {"own": scheme}
    runs = [each["run"] for each in trials if each["scheme"] == scheme]
    found = clone_parameters(spec.model_dump(mode="json"), [spec.seed], runs[-1] if runs else "")
    return {name: text for name, text in found.items() if name != PARENT or text}


def progress(trials: Sequence[Row]) -> tuple[int, int]:
    """How many of the runs that were asked for are over, and how many were asked for."""
    return sum(each["state"] in OVER for each in trials), len(trials)
