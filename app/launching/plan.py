"""What a launch will do: the form's choices as a sweep's table, checked before it is launched."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from app.describe import component_text
from app.phrases import count
from engine.axes import expand_axes, size
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.spec import RunSpec, explain
from engine.sweep import SweepFile, expand, in_folds

MOST_RUNS = 10_000
MOST_SAID = 6
"""Faults that are told one by one before it is said how many more there are."""


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from a count ("3" is 0, 1, 2) or a list ("0, 4, 7"; "7," is seed 7 alone). Raises InputError."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,10}", text):
        count = int(text)
        if not 1 <= count <= MOST_RUNS:
            raise InputError(f"seeds = {text} is not allowed: a count goes from 1 to {MOST_RUNS}")
        return tuple(range(count))
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(re.fullmatch(r"[0-9]{1,10}", part) for part in parts):
        raise InputError(
            f"seeds = {text[:60]!r} is not allowed: "
            "give a count, such as 3, or a list of whole numbers, such as 0, 4, 7"
        )
    return tuple(dict.fromkeys(int(part) for part in parts))


def seeds_text(seeds: Sequence[int]) -> str:
    """The inverse of ``parse_seeds``: "3", "0, 4", "7,"."""
    if list(seeds) == list(range(len(seeds))):
        return str(len(seeds))
    return ", ".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def split_schemes(text: str) -> list[str]:
    """The schemes written in a text field, set apart by semicolons."""
    return [part.strip() for part in text.split(";") if part.strip()]


@dataclass(frozen=True)
class LaunchPlan:
    """The form's choices: every dataset with every architecture, scheme and seed. Parts hold what is told of them, the
    rest is as usual."""

    datasets: tuple[Mapping[str, Any], ...]
    models: tuple[Mapping[str, Any], ...]
    schemes: tuple[str, ...]
    seeds: tuple[int, ...]
    task: Mapping[str, Any] = field(default_factory=dict)
    """Empty: each dataset's first task."""
    folds: int | None = None
    """How many folds are trained; None: only the one that the task names."""
    rest: Mapping[str, Any] = field(default_factory=dict)
    """The other parts of a spec: "training", "device"."""
    name: str = ""
    """Of the sweep; empty: the datasets and architectures."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What a sweep's file says beside its runs: "priority", "measure", "budget"."""
    leave_out: bool = False
    """Whether combinations that cannot be run are left out."""

    @property
    def title(self) -> str:
        """What the launch is called as a sweep."""
        parts = ["+".join(part["name"] for part in parts) for parts in (self.datasets, self.models)]
        return self.name.strip() or "-".join(parts)[:100]

    @property
    def table(self) -> dict[str, Any]:
        """The launch as a sweep's file has it (engine.sweep), as short as can be."""
        seeds = len(self.seeds) if self.seeds == tuple(range(len(self.seeds))) else list(self.seeds)
        datasets = [component_text(part, DATASETS, {}) for part in self.datasets]
        models = [component_text(part, MODELS, {}) for part in self.models]
        spec: dict[str, Any] = {"dataset": _one_or_all(datasets)}
        if task := self._task_text():
            spec["task"] = task
        spec |= {"model": _one_or_all(models), "scheme": list(self.schemes)}
        return {
            "name": self.title,
            "seeds": seeds,
            **({"folds": self.folds} if self.folds else {}),
            **{key: value for key, value in self.options.items() if value not in ({}, None)},
            "spec": spec | {key: value for key, value in self.rest.items() if value not in ({}, None)},
        }

    def _task_text(self) -> str:
        """The task in the grammar; empty where it is the usual one of every dataset."""
        options = {key: value for key, value in self.task.items() if key not in ("folds", "fold") or not self.folds}
        if not options:
            return ""
        text = component_text(options, OBJECTIVES, {})
        usual = {DATASETS[part["name"]].task_for(part) for part in self.datasets}
        return "" if usual == {text} else text

    def faults(self) -> list[str]:
        """What is not chosen yet, one sentence each."""
        missing = [("dataset", self.datasets), ("architecture", self.models)]
        found = [f"no {what} is chosen: pick at least one" for what, parts in missing if not parts]
        return found + ([] if self.schemes else ["no scheme is chosen: pick at least one, or write one"])


def _one_or_all(texts: Sequence[str]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else list(texts)


@dataclass(frozen=True)
class Checked:
    """A launch before it happens: what would run, and what is wrong with it."""

    table: Mapping[str, Any]
    """The sweep's table, with what is left out."""
    cells: tuple[RunSpec, ...] = ()
    """One run of each group."""
    seeds: tuple[int, ...] = ()
    folds: int = 1
    runs: int = 0
    faults: tuple[str, ...] = ()
    """One sentence each; empty where it can be launched."""
    unfit: int = 0
    """Combinations that cannot be run."""


def check_plan(plan: LaunchPlan) -> Checked:
    """Every combination of a form's choices, tried one by one."""
    table = plan.table
    if faults := plan.faults():
        return Checked(table, faults=tuple(faults))
    seeds, folds = plan.seeds, plan.folds or 1
    combinations = size(table["spec"])
    runs = combinations * len(seeds) * folds
    if runs > MOST_RUNS:
        return Checked(table, runs=runs, faults=(f"{runs} runs are too many for one launch: at most {MOST_RUNS}",))
    if fault := _fault_of_file(table):
        return Checked(table, runs=runs, faults=(fault,))
    cells: list[RunSpec] = []
    wrong: list[tuple[Mapping[str, Any], str]] = []
    for data in expand_axes(table["spec"]):
        try:
            cells.append(_tried(data, plan))
        except InputError as error:
            wrong.append((data, str(error)))
    if wrong and plan.leave_out and cells:
        table = {**table, "exclude": list(_left_out(wrong))}
        return Checked(table, tuple(cells), seeds, folds, len(cells) * len(seeds) * folds, unfit=len(wrong))
    faults = list(dict.fromkeys(text for _, text in wrong))
    if len(faults) > MOST_SAID:
        faults = [*faults[:MOST_SAID], f"{count(len(faults) - MOST_SAID, 'more fault')} of this kind"]
    return Checked(table, tuple(cells), seeds, folds, runs, tuple(faults), len(wrong) if cells else 0)


def _fault_of_file(table: Mapping[str, Any]) -> str:
    """What is wrong with what a sweep's file says beside its runs: its name, priority, budget."""
    try:
        SweepFile.model_validate(table)
    except ValidationError as error:
        return explain(error, SweepFile)
    return ""


def _tried(data: Mapping[str, Any], plan: LaunchPlan) -> RunSpec:
    """A combination's first run. Raises InputError where it cannot be run."""
    if plan.folds:
        data = in_folds(data, plan.folds)[0]
    spec = RunSpec.parse({**data, "seed": plan.seeds[0]})
    RunSpec.parse({**data, "seed": max(plan.seeds)}).dataset.check_elsewhere()
    return spec


def _left_out(wrong: Sequence[tuple[Mapping[str, Any], str]]) -> Iterator[dict[str, Any]]:
    """The tables of [[exclude]]: for each dataset and architecture the schemes that cannot be run there."""
    schemes: dict[tuple[str, str], list[str]] = {}
    for data, _ in wrong:
        schemes.setdefault((data["dataset"], data["model"]), []).append(data["scheme"])
    for (dataset, model), found in schemes.items():
        yield {"dataset": dataset, "model": model, "scheme": found}


def check_table(table: Mapping[str, Any]) -> Checked:
    """The runs of a sweep's file."""
    try:
        sweep = expand(table)
        for spec in sweep.cells:
            spec.dataset.check_elsewhere()
    except InputError as error:
        return Checked(table, faults=(str(error),))
    seeds = tuple(dict.fromkeys(run.seed for run in sweep.runs))
    folds = math.ceil(len(sweep.runs) / (len(seeds) * len(sweep.cells)))
    if len(sweep.runs) > MOST_RUNS:
        said = f"{len(sweep.runs)} runs are too many for one launch: at most {MOST_RUNS}"
        return Checked(table, sweep.cells, seeds, folds, len(sweep.runs), (said,))
    return Checked(table, sweep.cells, seeds, folds, len(sweep.runs))
