"""Which settings a run has where nobody says otherwise: the task's, then the dataset's (METHODS §10).

A component that a person writes keeps what it says; only what is left out is filled in, and the spec's JSON
writes all of it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

ANY = "*"
"""Every architecture that has the option."""


@dataclass(frozen=True)
class Defaults:
    """Settings that take the place of the classes' own defaults."""

    source: str = ""
    """Where they are from."""
    training: Mapping[str, Any] = field(default_factory=dict)
    task: Mapping[str, Any] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By the architecture's name; ``ANY``: for each that has the option, below its own."""
    plateau_ratio: float | None = None
    """θ of ADQ where it is not the task's (METHODS §8)."""

    def model(self, name: str, owner: type[BaseModel]) -> dict[str, Any]:
        """The options of an architecture."""
        fitting = {key: value for key, value in self.models.get(ANY, {}).items() if key in owner.model_fields}
        return {**fitting, **self.models.get(name, {})}


NONE = Defaults()


def fill(given: Mapping[str, Any], *layers: Mapping[str, Any]) -> dict[str, Any]:
    """What is given, and for the rest the layers, the last one first in rank."""
    filled: dict[str, Any] = {}
    for layer in layers:
        filled |= layer
    return {**filled, **given}
