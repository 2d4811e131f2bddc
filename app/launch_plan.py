"""What a launch will do: the form's choices as runs, checked, with the same thing in three other languages."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from app.describe import changed, class_defaults, component_text, standard
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.grammar import print_value
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.spec import RunSpec, TrainingSpec

MOST_RUNS = 10_000


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


def split_schemes(text: str) -> list[str]:
    """The schemes written in a text field, set apart by semicolons."""
    return [part.strip() for part in text.split(";") if part.strip()]


@dataclass(frozen=True)
class LaunchPlan:
    """The form's choices: every scheme with every seed."""

    dataset: Mapping[str, Any]
    model: Mapping[str, Any]
    schemes: tuple[str, ...]
    seeds: tuple[int, ...]
    training: Mapping[str, Any] = field(default_factory=dict)
    device: str = "auto"
    task: Mapping[str, Any] = field(default_factory=dict)
    """Empty: the dataset's first task."""
    every_fold: bool = False
    """Whether every fold of the task's cross-validation is trained, or only the one that it names."""

    @property
    def folds(self) -> tuple[int | None, ...]:
        """The folds to train; None: the one that the task names."""
        return tuple(range(self.task["folds"])) if self.every_fold and self.task.get("folds") else (None,)

    @property
    def size(self) -> int:
        return len(self.schemes) * len(self.seeds) * len(self.folds)

    def spec(self, scheme: str, seed: int, fold: int | None = None) -> RunSpec:
        """One run. Raises InputError, one sentence."""
        task = dict(self.task) if fold is None else {**self.task, "fold": fold}
        return RunSpec.parse(
            {
                "dataset": dict(self.dataset),
                "task": task,
                "model": dict(self.model),
                "scheme": scheme,
                "training": dict(self.training),
                "seed": seed,
                "device": self.device,
            }
        )

    @cached_property
    def firsts(self) -> dict[str, RunSpec]:
        """The first run of each scheme that can be run."""
        found: dict[str, RunSpec] = {}
        for scheme in self.schemes:
            try:
                found[scheme] = self.spec(scheme, self.seeds[0])
            except InputError:
                continue
        return found

    def faults(self) -> list[str]:
        """What is wrong, one sentence each; empty where the plan can be launched."""
        faults: list[str] = []
        if not self.schemes:
            faults.append("no scheme is chosen: pick at least one, or write one")
        if self.size > MOST_RUNS:
            faults.append(f"{self.size} runs are too many for one launch: at most {MOST_RUNS}")
        for scheme in self.schemes:
            try:
                self.spec(scheme, self.seeds[0])
                self.spec(scheme, max(self.seeds)).dataset.check_elsewhere()
            except InputError as error:
                faults.append(str(error))
        return list(dict.fromkeys(faults))

    def specs(self) -> list[RunSpec]:
        """Every run, seed by seed, so that each scheme has a first result early. Raises InputError."""
        return [self.spec(scheme, seed, fold) for seed in self.seeds for fold in self.folds for scheme in self.schemes]

    @property
    def usual(self) -> Mapping[str, Any]:
        """The tables "task", "model" and "training" as they are where nothing is said."""
        return standard(self.dataset["name"], self.task.get("name"), self.model["name"])

    @property
    def said(self) -> dict[str, str]:
        """Dataset, task and architecture in the grammar, as short as can be; no task where it is the usual one."""
        task = {key: value for key, value in self.task.items() if key not in ("folds", "fold") or not self.every_fold}
        texts = {"dataset": component_text(self.dataset, DATASETS)}
        if task:
            text = component_text(task, OBJECTIVES, self.usual.get("task"))
            if text != DATASETS[self.dataset["name"]].tasks[0]:
                texts["task"] = text
        return {**texts, "model": component_text(self.model, MODELS, self.usual.get("model"))}


def _seeds_text(seeds: tuple[int, ...]) -> str:
    if seeds == tuple(range(len(seeds))):
        return str(len(seeds))
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def _changed_training(plan: LaunchPlan) -> dict[str, Any]:
    known = {key: value for key, value in plan.training.items() if key in TrainingSpec.model_fields}
    return changed(known, class_defaults(TrainingSpec) | (plan.usual.get("training") or {}))


def command_lines(plan: LaunchPlan) -> str:
    """One ``bitfront run`` for each scheme."""
    common = [word for key, text in plan.said.items() for word in (f"--{key}", shlex.quote(text))]
    rest = ["--seeds", _seeds_text(plan.seeds)]
    if len(plan.folds) > 1:
        rest += ["--folds", str(len(plan.folds))]
    training = _changed_training(plan)
    if "epochs" in training:
        rest += ["--epochs", str(training.pop("epochs"))]
    for key, value in training.items():
        rest += ["--set", f"training.{key}={print_value(value)}"]
    if plan.device != "auto":
        rest += ["--set", f"device={plan.device}"]
    lines = [" ".join(["bitfront run", *common, "--scheme", shlex.quote(scheme), *rest]) for scheme in plan.schemes]
    return "\n".join(lines)


def python_text(plan: LaunchPlan) -> str:
    """The same runs in a notebook."""
    seeds = f"range({len(plan.seeds)})" if plan.seeds == tuple(range(len(plan.seeds))) else repr(list(plan.seeds))
    arguments = {key: repr(text) for key, text in plan.said.items()} | {"scheme": "scheme", "seed": "seed"}
    loop = ""
    if len(plan.folds) > 1:
        loop = f"for fold in range({len(plan.folds)}):"
        task = {key: value for key, value in plan.task.items() if key != "fold"}
        kept = {"name": task["name"], **changed(task, plan.usual.get("task", {})), "folds": len(plan.folds)}
        arguments["task"] = "{" + ", ".join(f"{key!r}: {value!r}" for key, value in kept.items()) + ", 'fold': fold}"
    training = _changed_training(plan)
    if training:
        arguments["training"] = repr(training)
    if plan.device != "auto":
        arguments["device"] = repr(plan.device)
    loops = [f"for scheme in {list(plan.schemes)!r}:", f"for seed in {seeds}:", *([loop] if loop else [])]
    body = [
        f"spec = engine.RunSpec({', '.join(f'{key}={text}' for key, text in arguments.items())})",
        "print(scheme, seed, engine.run(spec))",
    ]
    lines = [*(line for line in loops), *body]
    insets = [*range(len(loops)), *[len(loops)] * len(body)]
    return "import engine\n\n" + "".join(f"{'    ' * inset}{line}\n" for inset, line in zip(insets, lines, strict=True))


def sweep_name(plan: LaunchPlan) -> str:
    """What the launch is called as a sweep."""
    return f"{plan.dataset['name']}-{plan.model['name']}"[:100]


def sweep_toml(plan: LaunchPlan, name: str, priority: int = 5) -> str:
    """The same runs as a file for ``bitfront sweep`` (engine.sweep reads it)."""
    seeds = _seeds_text(plan.seeds)
    lines = [f"name = {json.dumps(name)}", f"seeds = {json.dumps(list(plan.seeds)) if ',' in seeds else seeds}"]
    if priority != 5:
        lines.append(f"priority = {priority}")
    if len(plan.folds) > 1:
        lines.append(f"folds = {len(plan.folds)}")
    lines += [
        "",
        "[spec]",
        *(f"{key} = {json.dumps(text)}" for key, text in plan.said.items()),
        f"scheme = {json.dumps(list(plan.schemes))}",
    ]
    if plan.device != "auto":
        lines.append(f"device = {json.dumps(plan.device)}")
    training = _changed_training(plan)
    if training:
        lines += ["", "[spec.training]", *(f"{key} = {json.dumps(value)}" for key, value in training.items())]
    return "\n".join(lines) + "\n"
