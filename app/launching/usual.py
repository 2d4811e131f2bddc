"""What the runs of a launch have where nothing is said: of one dataset and architecture, or of many together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.describe import class_defaults, standard
from app.forms import Usual, option_names
from engine.datasets import DATASETS
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.spec import TrainingSpec

FIRST = "the first of each"
"""The task of a launch on datasets whose first tasks differ: each is trained for its own."""


def tasks_of(datasets: Sequence[str]) -> list[str]:
    """The tasks to choose among: those that all of them have; ``FIRST`` before them where their first ones differ."""
    common = [name for name in OBJECTIVES if all(name in DATASETS[dataset].tasks for dataset in datasets)]
    first = list(dict.fromkeys(DATASETS[dataset].tasks[0] for dataset in datasets))
    if len(first) == 1 and datasets:
        return [first[0], *(name for name in common if name != first[0])]
    return [FIRST, *common]


def usual_of(datasets: Sequence[str], task: str | None, models: Sequence[str]) -> dict[str, Usual]:
    """The options of each part where nothing is said: "training", "task", and "dataset.NAME" and "model.NAME" of each.

    ``task`` None: each dataset's first. An option in which these runs differ has several values.
    """
    found: dict[str, dict[str, dict[Any, None]]] = {}

    def note(part: str, options: Mapping[str, Any]) -> None:
        values = found.setdefault(part, {})
        for name, value in options.items():
            if name != "name" and not isinstance(value, dict | list):
                values.setdefault(name, {})[value] = None

    for dataset in datasets:
        owner = DATASETS[dataset].spec
        found[f"dataset.{dataset}"] = {name: {owner.model_fields[name].default: None} for name in option_names(owner)}
        for model in models:
            known = standard(dataset, task, model)
            note("training", known.get("training") or class_defaults(TrainingSpec))
            note(f"model.{model}", known.get("model") or class_defaults(MODELS[model].spec))
            if task is not None:
                note("task", known.get("task") or class_defaults(OBJECTIVES[task].spec))
    # A field that the spec leaves out where it is empty has its class's default.
    classes = {"training": TrainingSpec, **({} if task is None else {"task": OBJECTIVES[task].spec})}
    classes |= {f"model.{model}": MODELS[model].spec for model in models}
    for part, owner in classes.items():
        known = found.get(part, {})
        missing = {name: owner.model_fields[name].default for name in option_names(owner) if name not in known}
        note(part, missing)
    return {part: {name: tuple(values) for name, values in options.items()} for part, options in found.items()}


def single(values: tuple[Any, ...]) -> Any:
    """The one value; None where there are several."""
    return values[0] if len(values) == 1 else None
