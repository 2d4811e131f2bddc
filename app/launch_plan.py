"""What a launch will do: the form's choices as runs, checked, with the same thing in three other languages."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from app.describe import component_text
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.grammar import print_value
from engine.models import MODELS
from engine.spec import RunSpec, TrainingSpec

MOST_RUNS = 10_000


def parse_seeds(text: str) -> tuple[int, ...]:
    """Seeds from a count ("3" is 0, 1, 2) or a list ("0, 4, 7"; "7," is seed 7 alone). Raises InputError."""
    text = text.strip()
    if re.fullmatch(r"\d+", text):
        count = int(text)
        if not 1 <= count <= MOST_RUNS:
            raise InputError(f"seeds = {text} is not allowed: a count goes from 1 to {MOST_RUNS}")
        return tuple(range(count))
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(re.fullmatch(r"\d{1,10}", part) for part in parts):
        raise InputError(
            f"seeds = {text!r} is not allowed: give a count, such as 3, or a list of whole numbers, such as 0, 4, 7"
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

    @property
    def size(self) -> int:
        return len(self.schemes) * len(self.seeds)

    def spec(self, scheme: str, seed: int) -> RunSpec:
        """One run. Raises InputError, one sentence."""
        return RunSpec.parse(
            {
                "dataset": dict(self.dataset),
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
                self.spec(scheme, max(self.seeds))
            except InputError as error:
                faults.append(str(error))
        return list(dict.fromkeys(faults))

    def specs(self) -> list[RunSpec]:
        """Every run, seed by seed, so that each scheme has a first result early. Raises InputError."""
        return [self.spec(scheme, seed) for seed in self.seeds for scheme in self.schemes]


def _seeds_text(seeds: tuple[int, ...]) -> str:
    if seeds == tuple(range(len(seeds))):
        return str(len(seeds))
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")


def _changed_training(plan: LaunchPlan) -> dict[str, Any]:
    fields = TrainingSpec.model_fields
    return {key: value for key, value in plan.training.items() if key in fields and fields[key].default != value}


def command_lines(plan: LaunchPlan) -> str:
    """One ``bitfront run`` for each scheme."""
    common = [
        "--dataset",
        shlex.quote(component_text(plan.dataset, DATASETS)),
        "--model",
        shlex.quote(component_text(plan.model, MODELS)),
    ]
    rest = ["--seeds", _seeds_text(plan.seeds)]
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
    arguments = [
        f"dataset={component_text(plan.dataset, DATASETS)!r}",
        f"model={component_text(plan.model, MODELS)!r}",
        "scheme=scheme",
        "seed=seed",
    ]
    training = _changed_training(plan)
    if training:
        arguments.append(f"training={training!r}")
    if plan.device != "auto":
        arguments.append(f"device={plan.device!r}")
    return (
        "import engine\n\n"
        f"for scheme in {list(plan.schemes)!r}:\n"
        f"    for seed in {seeds}:\n"
        f"        spec = engine.RunSpec({', '.join(arguments)})\n"
        "        print(scheme, seed, engine.run(spec))\n"
    )


def sweep_toml(plan: LaunchPlan, name: str, priority: int = 5) -> str:
    """The same runs as a file for ``bitfront sweep`` (engine.sweep reads it)."""
    seeds = _seeds_text(plan.seeds)
    lines = [f"name = {json.dumps(name)}", f"seeds = {json.dumps(list(plan.seeds)) if ',' in seeds else seeds}"]
    if priority != 5:
        lines.append(f"priority = {priority}")
    lines += [
        "",
        "[spec]",
        f"dataset = {json.dumps(component_text(plan.dataset, DATASETS))}",
        f"model = {json.dumps(component_text(plan.model, MODELS))}",
        f"scheme = {json.dumps(list(plan.schemes))}",
    ]
    if plan.device != "auto":
        lines.append(f"device = {json.dumps(plan.device)}")
    training = _changed_training(plan)
    if training:
        lines += ["", "[spec.training]", *(f"{key} = {json.dumps(value)}" for key, value in training.items())]
    return "\n".join(lines) + "\n"
