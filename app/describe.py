"""A spec in short words: what differs from the defaults, so that two groups of one name can be told apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from engine.catalogue import Catalogue
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.grammar import print_value
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.spec import RunSpec, TrainingSpec


@lru_cache(maxsize=1000)
def standard(dataset: str, task: str | None, model: str) -> Mapping[str, Any]:
    """The settings that a run of this dataset, task (None: the first) and architecture has where nothing else is said.

    The tables "task", "model" and "training"; empty where one of the names is unknown here.
    """
    names = {"dataset": dataset, "task": task, "model": model}
    try:
        data = RunSpec.parse({key: name for key, name in names.items() if name is not None}).model_dump()
    except InputError:
        return {}
    return {key: data[key] for key in ("task", "model", "training")}


def standard_of(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """``standard`` for the names in a spec's tables."""
    return standard(spec["dataset"]["name"], (spec.get("task") or {}).get("name"), spec["model"]["name"])


def component_text(part: Mapping[str, Any], catalogue: Catalogue, defaults: Mapping[str, Any] | None = None) -> str:
    """A dataset, task or architecture as the grammar writes it, defaults left out: ``sbm(nodes=500)``.

    ``defaults``: what counts as such; None: those of the entry's class.
    """
    name = str(part["name"])
    options = changed(part, class_defaults(_spec_class(catalogue, name)) if defaults is None else defaults)
    return name + (f"({','.join(f'{key}={print_value(value)}' for key, value in options.items())})" if options else "")


def training_text(training: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> str:
    """Training settings that differ from the defaults: ``epochs=20, lr=0.05``."""
    found = changed(training, class_defaults(TrainingSpec) if defaults is None else defaults)
    return ", ".join(f"{key}={print_value(value)}" for key, value in found.items())


@lru_cache(maxsize=20_000)
def spec_texts(spec: str) -> tuple[str, str, str]:
    """(dataset and task, architecture, other settings) of a spec's JSON text, as short as they can be said.

    The task is left out where it is the dataset's first, with the usual options.
    """
    data = json.loads(spec)
    usual = standard_of(data)
    settings = training_text(data.get("training", {}), usual.get("training"))
    device = data.get("device", "auto")
    if device != "auto":
        settings += (", " if settings else "") + f"device={device}"
    dataset = component_text(data["dataset"], DATASETS)
    task = data.get("task") or {}
    entry = DATASETS.get(data["dataset"]["name"])
    if task.get("name"):
        text = component_text({k: v for k, v in task.items() if k != "fold"}, OBJECTIVES, usual.get("task"))
        dataset += "" if entry and text == entry.tasks[0] else f", {text}"
    return dataset, component_text(data["model"], MODELS, usual.get("model")), settings


def _spec_class(catalogue: Catalogue, name: str) -> type[BaseModel] | None:
    entry = catalogue.get(name)
    return entry.spec if entry else None


def class_defaults(owner: type[BaseModel] | None) -> dict[str, Any]:
    """The defaults of a spec's class."""
    return {key: field.default for key, field in owner.model_fields.items()} if owner else {}


def changed(part: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The options that differ from the defaults."""
    return {
        key: value
        for key, value in part.items()
        if key != "name" and (key not in defaults or defaults[key] != value) and not isinstance(value, dict | list)
    }
