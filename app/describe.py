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
from engine.spec import TrainingSpec


def component_text(part: Mapping[str, Any], catalogue: Catalogue) -> str:
    """A dataset or architecture as the grammar writes it, defaults left out: ``sbm(nodes=500)``."""
    name = str(part["name"])
    options = _changed(part, _spec_class(catalogue, name))
    return name + (f"({','.join(f'{key}={print_value(value)}' for key, value in options.items())})" if options else "")


def training_text(training: Mapping[str, Any]) -> str:
    """Training settings that differ from the defaults: ``epochs=20, lr=0.05``."""
    return ", ".join(f"{key}={print_value(value)}" for key, value in _changed(training, TrainingSpec).items())


@lru_cache(maxsize=20_000)
def spec_texts(spec: str) -> tuple[str, str, str]:
    """(dataset, architecture, other settings) of a spec's JSON text, as short as they can be said."""
    data = json.loads(spec)
    settings = training_text(data.get("training", {}))
    device = data.get("device", "auto")
    if device != "auto":
        settings += (", " if settings else "") + f"device={device}"
    return component_text(data["dataset"], DATASETS), component_text(data["model"], MODELS), settings


def _spec_class(catalogue: Catalogue, name: str) -> type[BaseModel] | None:
    try:
        return catalogue[name].spec
    except InputError:
        return None


def _changed(part: Mapping[str, Any], owner: type[BaseModel] | None) -> dict[str, Any]:
    defaults = {key: field.default for key, field in owner.model_fields.items()} if owner else {}
    return {
        key: value
        for key, value in part.items()
        if key != "name" and (key not in defaults or defaults[key] != value) and not isinstance(value, dict | list)
    }
