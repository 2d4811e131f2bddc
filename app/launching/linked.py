"""The plan that the Launch form makes of a link, without the form: for reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError, create_model

from app.forms import Usual, class_usual, field_key, option_names
from app.launching.filling import EXAMPLES, from_older_link
from app.launching.form import FIRST_DATASET, FIRST_MODEL, PICKED, table_of
from app.launching.plan import LaunchPlan, parse_seeds, split_schemes
from app.launching.usual import FIRST, single, tasks_of, usual_of
from engine.catalogue import Catalogue
from engine.datasets import DATASETS
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.scheme import parse_scheme
from engine.spec import RunSpec
from engine.sweep import Budget, SweepFile

Link = Mapping[str, Sequence[str]]


def plan_of_link(link: Link, uploaded: Mapping[str, str]) -> LaunchPlan:
    """The plan of a link's parameters; what is not allowed there is as usual, as in the form.

    ``uploaded``: the labels of each upload, by its id. Raises InputError for seeds or a scheme that cannot be read.
    """
    datasets, models = _names(link, "dataset", DATASETS, FIRST_DATASET), _names(link, "model", MODELS, FIRST_MODEL)
    said: dict[str, Any] = {name: values[-1] for name, values in link.items() if values}
    for old, (name, value) in from_older_link(said, datasets, models).items():
        del said[old]
        said[name] = value
    tasks = tasks_of(datasets)
    chosen = said["task"] if said.get("task") in tasks else tasks[0]
    task = None if chosen == FIRST else chosen
    usual = usual_of(datasets, task, models)
    told, folds = ({"name": task} | _told(OBJECTIVES[task].spec, "task", usual["task"], said) if task else {}), None
    if task and said.get("every_fold") != "false":  # the toggle is on where nothing is said
        folds = told.get("folds", single(usual["task"].get("folds", (None,)))) or None
    own = [str(parse_scheme(text)) for text in split_schemes(said.get("own", ""))]
    picked = [name for name in link.get("schemes", [RunSpec.model_fields["scheme"].default]) if name in EXAMPLES]
    return LaunchPlan(
        datasets=tuple(_dataset(name, usual, said, uploaded) for name in datasets),
        models=tuple(
            {"name": name, **_told(MODELS[name].spec, f"model.{name}", usual[f"model.{name}"], said)} for name in models
        ),
        schemes=tuple(dict.fromkeys([*picked, *own])),
        seeds=parse_seeds(said.get("seeds", "3")),
        task=told,
        folds=folds,
        rest=dict(_rest(usual, said)),
        name=said.get("name", ""),
        options=_told(SweepFile, "sweep", class_usual(SweepFile), said, ("priority", "measure"))
        | ({"budget": limits} if (limits := _told(Budget, "budget", class_usual(Budget), said)) else {}),
        leave_out=said.get("leave_out") == "true",
    )


def _names(link: Link, part: str, known: Catalogue, first: str) -> list[str]:
    return [name for name in link.get(part) or [first] if name in known]


def _dataset(name: str, usual: Mapping[str, Usual], said: Mapping[str, Any], uploaded: Mapping[str, str]) -> dict:
    part = f"dataset.{name}"
    found = {"name": name, **_told(DATASETS[name].spec, part, usual[part], said)}
    upload = said.get(f"{part}.upload")
    return found | ({"upload": upload, "labels": uploaded[upload]} if upload and upload in uploaded else {})


def _rest(usual: Mapping[str, Usual], said: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The tables and the plain fields of a spec beside what is picked."""
    for name, field in RunSpec.model_fields.items():
        if name in PICKED:
            continue
        if owner := table_of(field):
            if told := _told(owner, name, usual.get(name) or class_usual(owner), said):
                yield name, told
        else:
            yield from _told(RunSpec, "", class_usual(RunSpec), said, [name]).items()


def _told(
    spec: type[BaseModel], prefix: str, usual: Usual, said: Mapping[str, Any], names: Sequence[str] | None = None
) -> dict[str, Any]:
    """The options of ``spec`` that a link tells and that are not as usual."""
    found = {}
    for name in option_names(spec) if names is None else names:
        key = field_key(prefix, name)
        if key not in said or name not in usual:
            continue
        kind: Any = spec.model_fields[name].annotation
        try:
            value = create_model("Told", value=(kind, spec.model_fields[name])).model_validate({"value": said[key]})
        except ValidationError:
            continue
        told = value.model_dump()["value"]
        if told is not None and (told,) != usual[name]:
            found[name] = told
    return found
