"""What the search page shows, from the store's rows: candidates with their saving, who is compared with whom."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from app.clone import PARENT, clone_parameters
from app.digits import number
from app.phrases import count, duration, sentence_case
from engine.costs import default_table
from engine.errors import InputError
from engine.ledger.figures import FIGURES, Ledger
from engine.ledger.runs import run_ledger, trained_size
from engine.search.course import STAGES
from engine.search.file import fp32_of, read_search
from engine.spec import RunSpec

Row = Mapping[str, Any]

OVER = ("finished", "failed", "cancelled")
BITS = "average_bits_sgquant"
"""The figure that a trial's bits are told by."""


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
    try:
        return _figure(file["figure"], fp32_of(read_search(file)), provenance)
    except InputError:  # a file of another version, or of data that is not installed here
        return None


@lru_cache(maxsize=20_000)
def _bits(spec: str, scheme: str, provenance: str) -> float | None:
    """The average bits of a scheme on a search's row (its spec as JSON); None where they cannot be told here."""
    try:
        return _figure(BITS, RunSpec.parse({**json.loads(spec), "scheme": scheme}), provenance)
    except InputError:
        return None


def _figure(name: str, spec: RunSpec, provenance: str | None) -> float | None:
    size = trained_size(json.loads(provenance or "{}"))
    if size is None or name not in FIGURES:
        return None
    return FIGURES[name].compute(Ledger(run_ledger(spec, size), default_table()))


def search_table(rows: Sequence[Row]) -> pd.DataFrame:
    """The store's ``searches`` rows, one a line."""
    results = [json.loads(row["result"] or "{}") for row in rows]
    return pd.DataFrame(
        {
            "Name": [row["name"] for row in rows],
            "Dataset": [row["dataset"] for row in rows],
            "Architecture": [row["model"] for row in rows],
            "State": [row["state"] for row in rows],
            "Runs": [row["asked"] for row in rows],
            "Not over": [row["unfinished"] for row in rows],
            "Winner": [result.get("scheme") for result in results],
            "Saving": pd.array([result.get("saving") for result in results], dtype="Float64"),
            "Launched": [row["submitted_at"] for row in rows],
        }
    )


def trial_table(row: Row, trials: Sequence[Row], told: Told, provenance: str | None = None) -> pd.DataFrame:
    """A search's ``trials``, one a line: what each is, what it costs, what came of it in validation and what the cost
    model had expected. No test metric: a search chooses without one."""
    met = {each.run for each in told.candidates if told.is_met(each)}
    savings = {each.run: each.saving for each in told.candidates}
    spec = json.dumps(json.loads(row["file"]).get("spec"))
    return pd.DataFrame(
        {
            "Number": [each["number"] for each in trials],
            "Stage": [each["stage"] for each in trials],
            "Batch": [each["batch"] for each in trials],
            "Scheme": [each["scheme"] for each in trials],
            "Average bits (SGQuant)": pd.array(
                [_bits(spec, each["scheme"], provenance or "{}") for each in trials], dtype="Float64"
            ),
            "Seed": [each["seed"] for each in trials],
            "State": [each["state"] for each in trials],
            "Cost": pd.array([each["cost"] for each in trials], dtype="Float64"),
            "Saving": pd.array([savings.get(each["run"]) for each in trials], dtype="Float64"),
            "Predicted": pd.array([each["predicted"] for each in trials], dtype="Float64"),
            "Measured": pd.array([each["val_best"] for each in trials], dtype="Float64"),
            "Unit": [each["unit"] for each in trials],
            "Within the goal": [each["run"] in met if each["run"] in savings else None for each in trials],
            "Seconds": pd.array([each["seconds"] for each in trials], dtype="Float64"),
            "Run": [each["run"] for each in trials],
            "Reason": [each["reason"] for each in trials],
        }
    )


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


@dataclass(frozen=True)
class WinnerFigure:
    """A number of the winner: its title, itself, what stands beneath it and what explains it."""

    title: str
    text: str
    beneath: str | None = None
    about: str | None = None


def winner_figures(row: Row) -> list[WinnerFigure]:
    """The numbers of a search's winner with its confirmation; none without a winner."""
    result, file = json.loads(row["result"] or "{}"), json.loads(row["file"])
    if not result.get("scheme"):
        return []
    test, unit, published = result.get("test") or {}, result.get("unit") or "", file.get("published")
    bits = (result.get("figures") or {}).get(BITS)
    found = [
        WinnerFigure(
            "Saving of " + file["figure"].replace("_", " "),
            f"{result['saving']:.2f}×",
            f"published: {published:g}×" if published else None,
            file.get("source") or None,
        ),
        WinnerFigure("Average bits (SGQuant)", "–" if bits is None else f"{bits:.2f}"),
    ]
    if test.get("n"):
        spread = f" ± {number(test['winner_std'], unit)}" if "winner_std" in test else ""
        interval = f" ± {number(test['difference_ci95'], unit)}" if "difference_ci95" in test else ""
        found += [
            WinnerFigure(f"Test, {count(test['n'], 'seed')}", f"{number(test['winner'], unit)}{spread}"),
            WinnerFigure(
                "Minus fp32 (95 %)",
                f"{number(test['difference'], unit, '+')}{interval}",
                about=f"fp32, same seeds: {number(test['fp32'], unit)} {unit}",
            ),
        ]
    return found


def spent_text(row: Row) -> str:
    """What a search with a winner has spent."""
    result = json.loads(row["result"])
    took = (row["ended_at"] - row["submitted_at"]).total_seconds() if row["ended_at"] else None
    return (
        f"{result['measured']} configurations measured: {count(result['few_runs'], 'run')} of few epochs, "
        f"{count(result['full_fine_tunings'], 'fine-tuning')}, "
        f"{count(result['full_trainings'], 'full training')}; {result['failed']} failed; {duration(took)}"
    )


def progress_text(row: Row, trials: Sequence[Row]) -> str:
    """What a search does now, and how many of the runs that it has asked for are over."""
    done, asked = progress(trials)
    stage = trials[-1]["stage"] if trials else "reference"
    return f"{sentence_case(STAGES[stage])}: {done} of {asked} runs are over"


def progress(trials: Sequence[Row]) -> tuple[int, int]:
    """How many of the runs that were asked for are over, and how many were asked for."""
    return sum(each["state"] in OVER for each in trials), len(trials)
