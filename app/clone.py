"""A run or a group again: the link that fills the Launch form with its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.describe import changed, class_defaults, standard_of
from app.launching.filling import EXAMPLES, as_text
from app.launching.plan import seeds_text
from engine.datasets import DATASETS

PARENT = "parent"
"""The parameter of Launch that names the run that is cloned."""


def clone_parameters(
    spec: Mapping[str, Any], seeds: Sequence[int], parent: str, *, one_fold: bool = False
) -> dict[str, str]:
    """The parameters of Launch for a spec's tables and these seeds; what has its default is left out.

    ``parent``: the run that the new ones are cloned from, or one of the group's. ``one_fold``: of a cross-validation
    the spec's own fold, as a run has it; else every fold, as a group has them.
    """
    usual = standard_of(spec)
    task = spec.get("task") or {}
    found = {
        "dataset": spec["dataset"]["name"],
        **({"task": task["name"]} if task.get("name") else {}),
        "model": spec["model"]["name"],
        "schemes" if spec["scheme"] in EXAMPLES else "own": spec["scheme"],
        "seeds": ", ".join(map(str, seeds)) + "," if len(seeds) == 1 else seeds_text(seeds),
        PARENT: parent,
    }
    if "own" in found:
        found["schemes"] = ""
    entry = DATASETS.get(spec["dataset"]["name"])
    defaults = {"dataset": class_defaults(entry.spec) if entry else {}, **usual}
    for part in ("dataset", "task", "model", "training"):
        prefix = f"{part}.{spec[part]['name']}" if part in ("dataset", "model") else part
        for name, value in changed(spec.get(part) or {}, defaults.get(part) or {}).items():
            if (one_fold or name != "fold") and value is not None:
                found[f"{prefix}.{name}"] = as_text(value)
    if one_fold and task.get("folds"):
        found["every_fold"] = "false"
    if spec.get("device", "auto") != "auto":
        found["device"] = spec["device"]
    return found
