"""A run or a group again: the link that fills the Launch form with its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.describe import changed, class_defaults, standard_of
from engine.datasets import DATASETS
from engine.grammar import print_value
from engine.schemes import RECIPES

PARENT = "parent"
"""The parameter of Launch that names the run that is cloned."""

EXAMPLES = frozenset(example for recipe in RECIPES.values() for example in recipe.examples)


def clone_parameters(spec: Mapping[str, Any], seeds: Sequence[int], parent: str) -> dict[str, str]:
    """The parameters of Launch for a spec's tables and these seeds; what has its default is left out.

    ``parent``: the run that the new ones are cloned from, or one of the group's.
    """
    usual = standard_of(spec)
    task = spec.get("task") or {}
    found = {
        "dataset": spec["dataset"]["name"],
        **({"task": task["name"]} if task.get("name") else {}),
        "model": spec["model"]["name"],
        # The form lists the catalogue's examples; another scheme stands in the field for one's own.
        "schemes" if spec["scheme"] in EXAMPLES else "own": spec["scheme"],
        "seeds": ", ".join(map(str, seeds)) + ("," if len(seeds) == 1 else ""),
        PARENT: parent,
    }
    if "own" in found:
        found["schemes"] = ""
    entry = DATASETS.get(spec["dataset"]["name"])
    defaults = {"dataset": class_defaults(entry.spec) if entry else {}, **usual}
    for part in ("dataset", "task", "model", "training"):
        for name, value in changed(spec.get(part) or {}, defaults.get(part) or {}).items():
            if name != "fold" and value is not None:
                found[f"{part}.{name}"] = _said(value)
    if spec.get("device", "auto") != "auto":
        found["device"] = spec["device"]
    return found


def _said(value: Any) -> str:
    """As the form's fields write it into a link."""
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else print_value(value)
