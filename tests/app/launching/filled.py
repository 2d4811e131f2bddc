"""The plan that a form with these values gives, read without a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.launching.plan import LaunchPlan, parse_seeds, split_schemes
from app.launching.usual import FIRST, single, tasks_of, usual_of


def plan_of(values: Mapping[str, Any]) -> LaunchPlan:
    def under(prefix: str) -> dict[str, Any]:
        return {key[len(prefix) :]: value for key, value in values.items() if key.startswith(prefix)}

    task = values.get("task") or tasks_of(values["dataset"])[0]
    options, folds = under("task."), None
    if task != FIRST and values.get("every_fold", True):  # the toggle is on where nothing is said
        usual = usual_of(values["dataset"], task, values["model"])["task"]
        folds = options.get("folds", single(usual.get("folds", (None,)))) or None
    return LaunchPlan(
        tuple({"name": name, **under(f"dataset.{name}.")} for name in values["dataset"]),
        tuple({"name": name, **under(f"model.{name}.")} for name in values["model"]),
        (*values["schemes"], *split_schemes(values["own"])),
        parse_seeds(values["seeds"]),
        {} if task == FIRST else {"name": task, **options},
        folds,
        {"training": under("training."), **({"device": values["device"]} if "device" in values else {})},
        values.get("name", ""),
        under("sweep."),
    )
