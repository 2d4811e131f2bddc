"""A sweep's table as values of the Launch form's fields, and as the link that fills them in."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError, create_model

from app.launching.plan import seeds_text
from app.launching.usual import tasks_of, usual_of
from engine.axes import is_axis
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.grammar import print_value
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.schemes import RECIPES
from engine.spec import RunSpec, component_table
from engine.sweep import SweepFile

EXAMPLES = list(dict.fromkeys(example for recipe in RECIPES.values() for example in recipe.examples))
"""The schemes to pick from; another one stands in the field for one's own."""
WHOLE = {"name", "seeds", "folds", "priority", "budget", "measure", "spec"}
"""What of a sweep's file the form can say."""
DETAIL = "detail"
BASIC, EXPERT, FILE = "Basic", "Expert", "Sweep file"
"""How much of the form is shown, by the parameter DETAIL."""
CLONED = "clone"
"""The parameter that names the sweep whose file is taken."""


class NotInTheForm(InputError):  # noqa: N818 - an answer, as people read it
    """A table that only a sweep's file can say."""


def form_values(table: Mapping[str, Any]) -> dict[str, Any]:
    """The fields' values by their names in the link, lists where several are picked. What is not told is as usual.

    Raises NotInTheForm where the table has more than the form: blocks, exclusions, ranges, two of one architecture.
    """
    spec = table.get("spec") or {}
    if set(table) - WHOLE or set(spec) - set(RunSpec.model_fields) or any(is_axis(value) for value in spec.values()):
        raise NotInTheForm("the table has more than one grid")
    datasets, models = _components(spec, "dataset"), _components(spec, "model")
    schemes = _list(spec.get("scheme", RunSpec.model_fields["scheme"].default))
    task = _components(spec, "task")
    if len(task) > 1 or not all(isinstance(scheme, str) for scheme in schemes):
        raise NotInTheForm("the table has several tasks, or texts with blanks")
    own = [scheme for scheme in schemes if scheme not in EXAMPLES]
    found: dict[str, Any] = {
        "dataset": list(datasets),
        "model": list(models),
        "schemes": [scheme for scheme in schemes if scheme in EXAMPLES],
        "own": "; ".join(own),
        "seeds": _seeds(table.get("seeds", 1)),
    }
    for name, options in task.items():
        found |= {"task": name, **{f"task.{key}": value for key, value in options.items()}}
    if not task and len(datasets) == 1:  # the form's own first choice is another where files decide
        name, options = next(iter(datasets.items()))
        found["task"] = DATASETS[name].task_for({"name": name, **options})
    for part, components in (("dataset", datasets), ("model", models)):
        for name, options in components.items():
            found |= {f"{part}.{name}.{key}": value for key, value in options.items()}
    for key, value in spec.items():
        if key in ("dataset", "task", "model", "scheme", "seed"):
            continue
        given = {f"{key}.{name}": each for name, each in value.items()} if isinstance(value, Mapping) else {key: value}
        if any(isinstance(each, list | Mapping) for each in given.values()):
            raise NotInTheForm(f"the table has several values of {key}")
        found |= given
    found |= {f"sweep.{key}": table[key] for key in ("priority", "measure") if key in table}
    found |= {f"budget.{key}": value for key, value in (table.get("budget") or {}).items()}
    if "folds" in table:
        found |= {"task.folds": table["folds"]}
    elif _in_folds(found.get("task") or tasks_of(found["dataset"])[0]):
        found["every_fold"] = False  # the form's toggle is on where nothing is said
    if "name" in table:
        found["name"] = table["name"]
    return found


def _in_folds(task: str) -> bool:
    """Whether a task has a cross-validation."""
    return task in OBJECTIVES and "folds" in OBJECTIVES[task].spec.model_fields


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _components(spec: Mapping[str, Any], part: str) -> dict[str, dict[str, Any]]:
    """The options of each dataset, architecture or task, by its name."""
    found: dict[str, dict[str, Any]] = {}
    for given in _list(spec[part]) if part in spec else []:
        table = component_table(given, part) if isinstance(given, str) else dict(given)
        name = table.pop("name", None)
        if not isinstance(name, str) or name in found or any(isinstance(each, list | dict) for each in table.values()):
            raise NotInTheForm(f"the table has a {part} twice, or a range of them")
        found[name] = table
    return found


def _seeds(given: Any) -> str:
    if isinstance(given, Mapping):
        raise NotInTheForm("the table has a range of seeds")
    return str(given) if isinstance(given, int) else seeds_text(given)


def link_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of Launch for these values; what is as usual is left out."""
    task = values.get("task")
    usual = usual_of(values["dataset"], task, values["model"])
    defaults = {f"{part}.{name}": each for part, options in usual.items() for name, each in options.items()}
    return {
        name: value if isinstance(value, list) else as_text(value)
        for name, value in values.items()
        if value is not None and (value,) != defaults.get(name)
    }


def from_older_link(
    said: Mapping[str, str], datasets: Sequence[str], models: Sequence[str]
) -> dict[str, tuple[str, Any]]:
    """What links of before say of the only dataset ("dataset.nodes"), the only architecture ("model.hidden") and the
    sweep ("priority"): by these names, the fields' names now and their values. What is not allowed is left out."""
    known = {"priority": ("sweep.priority", SweepFile.model_fields["priority"])}
    for part, picked, catalogue in (("dataset", datasets, DATASETS), ("model", models, MODELS)):
        for name in picked if len(picked) == 1 else ():
            fields = catalogue[name].spec.model_fields
            known |= {f"{part}.{key}": (f"{part}.{name}.{key}", field) for key, field in fields.items()}
    found: dict[str, tuple[str, Any]] = {}
    for old, (new, field) in known.items():
        if old in said and new not in said:
            with contextlib.suppress(ValidationError):
                kind: Any = field.annotation
                told = create_model("Told", value=(kind, field)).model_validate({"value": said[old]})
                found[old] = new, told.model_dump()["value"]
    return found


def as_text(value: Any) -> str:
    """A value as the form's fields write it into a link."""
    return str(value).lower() if isinstance(value, bool) else value if isinstance(value, str) else print_value(value)


def sweep_link(table: Mapping[str, Any], sweep: str) -> dict[str, Any]:
    """The parameters of Launch for a sweep that was launched: filled in where the form can say it, else its file."""
    try:
        values = form_values(table)
        if all(name in DATASETS for name in values["dataset"]) and all(name in MODELS for name in values["model"]):
            return link_of(values)
    except InputError:
        pass
    return {DETAIL: FILE, CLONED: sweep}
