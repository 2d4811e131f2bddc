"""The Launch form: what to train, grown from the catalogues and the spec's schema. Every field is part of the link."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from streamlit.delta_generator import DeltaGenerator

from app.describe import standard
from app.forms import Usual, class_usual, field_key, shown_names, spec_form
from app.launching.filling import EXAMPLES, from_older_link
from app.launching.plan import LaunchPlan, parse_seeds, split_schemes
from app.launching.usual import FIRST, single, tasks_of, usual_of
from app.own_files import choose_own_files
from app.phrases import literal
from engine.catalogue import Catalogue
from engine.datasets import DATASETS
from engine.errors import InputError
from engine.formats import FAMILIES
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.scheme import SITES, parse_scheme
from engine.schemes import RECIPES
from engine.spec import RunSpec
from engine.sweep import Budget, SweepFile

FIRST_DATASET, FIRST_MODEL = "cora", "gcn"  # as `bitfront run` has them
PICKED = ("dataset", "task", "model", "scheme", "seed")
"""Parts of a spec that are picked one by one; whatever else it has are fields by itself."""
USUAL = "usual"
"""In the session: each field's usual value, as the form was drawn last."""
NARROWEST = 120
"""Pixels of a field in a grid of them."""


def _picks(key: str, known: Catalogue, first: str) -> list[str]:
    """What is picked in a list now; before it is drawn the first time, what the link says."""
    found = st.session_state.get(key, st.query_params.get_all(key) or [first])
    return [name for name in found if name in known]


def datasets_now() -> list[str]:
    return _picks("dataset", DATASETS, FIRST_DATASET)


def models_now() -> list[str]:
    return _picks("model", MODELS, FIRST_MODEL)


def task_now(datasets: Sequence[str]) -> str | None:
    """The task that is chosen; None: the first of each dataset."""
    tasks = tasks_of(datasets)
    asked = st.session_state.get("task", st.query_params.get("task"))
    found = asked if asked in tasks else tasks[0]
    return None if found == FIRST else found


def _flat(usual: Mapping[str, Usual]) -> dict[str, Any]:
    return {field_key(part, name): single(each) for part, options in usual.items() for name, each in options.items()}


def take_usual() -> None:
    """After other datasets, another task or other architectures are picked: fields that nobody has changed get what is
    usual for these."""
    state, datasets = st.session_state, datasets_now()
    before = state.get(USUAL, {})
    if state.get("task") not in tasks_of(datasets):
        state["task"] = tasks_of(datasets)[0]
    for key, value in _flat(usual_of(datasets, task_now(datasets), models_now())).items():
        if key in state and state[key] == before.get(key):
            state[key] = value


def take_datasets() -> None:
    """After other datasets are picked: the task is their first, with what is usual for it."""
    st.session_state["task"] = tasks_of(datasets_now())[0]
    take_usual()


def take_task(task: str) -> None:
    """The task that fits uploaded files, with its defaults."""
    st.session_state["task"] = task
    take_usual()


def fill(values: Mapping[str, Any]) -> None:
    """Fill the form in with these values (app.launching.filling), every other field as usual."""
    state = st.session_state
    # What a link had said before goes, whether its field is drawn now or not.
    for key in [key for key in state if "." in str(key) or key in ("every_fold", "leave_out", "name")]:
        del state[key]
    task = values.get("task")
    for key in ("dataset", "model", "schemes", "own", "seeds"):
        state[key] = values[key]
    state["task"] = task or tasks_of(values["dataset"])[0]
    usual = usual_of(values["dataset"], None if state["task"] == FIRST else state["task"], values["model"])
    state.update(_flat(usual))
    state.update({key: value for key, value in values.items() if key not in ("dataset", "model", "task")})
    state[USUAL] = _flat(usual)


def take_older_link() -> None:
    """Before the form is drawn: what a link says by names of before goes to the fields of now."""
    said = st.query_params.to_dict()
    for old, (key, value) in from_older_link(said, datasets_now(), models_now()).items():
        st.session_state.setdefault(key, value)
        st.query_params.pop(old)  # once: afterwards the field speaks for itself


def show_form(*, expert: bool) -> LaunchPlan | None:
    """Draw the form; None where a field says what is wrong."""
    left, middle, right = st.columns(3)
    files = st.container()
    with left:
        datasets = _choose_datasets(files)
    names = [part["name"] for part in datasets]
    with middle:
        task = _choose_task(names)
    with right:
        models = _choose_models()
    usual = usual_of(names, task, models)
    st.session_state[USUAL] = _flat(usual)
    schemes = _choose_schemes()
    with st.grid(4, min_column_width=NARROWEST):
        seeds = _seeds_field()
        rest = _training(usual, expert)
    folds = _choose_folds(task, names, usual.get("task", {}))
    for part in datasets:
        title = f"Options of {part['name']}"
        part |= _options(DATASETS[part["name"]].spec, f"dataset.{part['name']}", title, usual, expert)
    told = {"name": task} if task else {}
    if task:
        told |= _options(OBJECTIVES[task].spec, "task", f"Options of {OBJECTIVES[task].label}", usual, expert)
    parts = [
        {"name": name, **_options(MODELS[name].spec, f"model.{name}", f"Options of {name}", usual, expert)}
        for name in models
    ]
    rest |= _plain_fields(expert)
    name, options = _sweep_options(expert)
    leave_out = bool(st.session_state.get("leave_out", "leave_out" in st.query_params))
    if schemes is None or (numbers := _read_seeds(seeds)) is None:
        return None
    return LaunchPlan(tuple(datasets), tuple(parts), schemes, numbers, told, folds, rest, name, options, leave_out)


def _choose_datasets(files: DeltaGenerator) -> list[dict[str, Any]]:
    """The datasets; ``files`` is where a person's own are uploaded and picked."""
    picked = st.multiselect(
        "Datasets",
        [*DATASETS, *DATASETS.members],
        default=[FIRST_DATASET],
        key="dataset",
        bind="query-params",
        on_change=take_datasets,
        placeholder="Pick datasets",
        help="Each of them is trained with each architecture, scheme and seed.",
    )
    found: list[dict[str, Any]] = []
    for name in picked:
        entry = DATASETS[name]
        if len(picked) == 1:
            st.caption(f"{entry.summary} · {entry.licence}")
        own: dict[str, Any] = {}
        if entry.own_files:
            with files:
                own = choose_own_files(entry, take_task)
        found.append({"name": name, **own})
    if synthetic := [name for name in picked if DATASETS[name].synthetic]:
        which = f": {', '.join(synthetic)}" if len(picked) > 1 else ""
        st.badge(f"Synthetic data{which}", icon=":material/science:", color="violet")
    return found


def _choose_task(datasets: Sequence[str]) -> str | None:
    """The task; None: the first of each dataset."""
    names = tasks_of(datasets)
    chosen = st.selectbox(
        "Task",
        names,
        key="task",
        bind="query-params",
        on_change=take_usual,
        format_func=lambda name: name if name == FIRST else OBJECTIVES[name].label,
    )
    if chosen == FIRST:
        firsts = dict.fromkeys(OBJECTIVES[DATASETS[name].tasks[0]].label for name in datasets)
        st.caption("Each dataset is trained for its first task" + (f": {', '.join(firsts)}" if firsts else ""))
        return None
    objective = OBJECTIVES[chosen]
    better = "higher" if objective.higher_is_better else "lower"
    st.caption(f"{objective.summary} · {better} is better")
    return chosen


def _choose_models() -> list[str]:
    picked = st.multiselect(
        "Architectures",
        list(MODELS),
        default=[FIRST_MODEL],
        key="model",
        bind="query-params",
        on_change=take_usual,
        placeholder="Pick architectures",
    )
    if len(picked) == 1:
        st.caption(f"{MODELS[picked[0]].summary} · {MODELS[picked[0]].source}")
    return picked


def _choose_schemes() -> tuple[str, ...] | None:
    """The schemes picked and written; None where a written one is wrong (said beneath the field)."""
    picked = st.multiselect(
        "Schemes",
        EXAMPLES,
        default=[RunSpec.model_fields["scheme"].default],
        key="schemes",
        bind="query-params",
        help="Each scheme is trained with each seed.",
        placeholder="Pick schemes",
    )
    written = st.text_input(
        "Or write your own",
        key="own",
        bind="query-params",
        live="300ms",
        placeholder="int4:weight,feature",
        help="The scheme grammar: name[list](option=value) + … : sites. Several are set apart by semicolons.",
    )
    _show_grammar()
    own, wrong = [], False
    for text in split_schemes(written or ""):
        try:
            scheme = parse_scheme(text)
        except InputError as error:
            st.error(literal(error), icon=":material/error:")
            wrong = True
        else:
            own.append(str(scheme))
            st.caption(f":material/check: {literal(scheme)} quantizes {', '.join(scheme.sites) or 'nothing'}")
    return None if wrong else tuple(dict.fromkeys([*picked, *own]))


def _show_grammar() -> None:
    """What can be written: every recipe with examples, the formats' families and the sites, by their catalogues."""
    with st.popover("What can be written", icon=":material/menu_book:", width="content", on_change="rerun") as place:
        if not place.open:
            return
        st.markdown("Parts are joined by **+**, the sites that they are for follow a **:**")
        st.dataframe(
            [
                {"For example": ", ".join(recipe.examples), "What it is": recipe.summary, "From": recipe.source}
                for recipe in RECIPES.values()
            ],
            hide_index=True,
            height=320,
            width=720,
            alt="Recipes of schemes with examples",
            column_config={"For example": st.column_config.TextColumn(pinned=True, width=280)},
        )
        st.caption(f"Formats: {literal('; '.join(family.names for family in FAMILIES.values()))}")
        st.caption(f"Sites: {', '.join(SITES)}")


def _seeds_field() -> str:
    return st.text_input(
        "Seeds",
        value="3",
        key="seeds",
        bind="query-params",
        live="300ms",
        help="A count (3 trains seeds 0, 1, 2) or a list (0, 4, 7).",
    )


def _read_seeds(text: str) -> tuple[int, ...] | None:
    """The seeds; None where they cannot be read (said here)."""
    try:
        return parse_seeds(text)
    except InputError as error:
        st.error(literal(error), icon=":material/error:")
        return None


def _choose_folds(task: str | None, datasets: Sequence[str], usual: Usual) -> int | None:
    """How many folds are trained, where a task has a cross-validation; None: the one that its options name."""
    if task is None:
        if any((standard(name, None, FIRST_MODEL).get("task") or {}).get("folds") for name in datasets):
            st.caption(
                "Of a cross-validation only one fold is trained here: launch datasets of one task for all folds."
            )
        return None
    counts = usual.get("folds", ())
    folds = _told_folds(single(counts) if counts else 0)
    if folds == 0:
        return None
    if folds is None:
        st.caption("These datasets have different numbers of folds: only the fold that the options name is trained.")
        return None
    every = st.toggle(
        f"Every one of the {folds} folds",
        value=True,
        key="every_fold",
        bind="query-params",
        help="Each seed is trained on each fold, all of them one group. Off: only the fold that the options name.",
    )
    return folds if every else None


def _told_folds(usual: int | None) -> int | None:
    """The number of folds in its field, which is drawn further down; before it is, the link's."""
    told = st.session_state.get("task.folds", st.query_params.get("task.folds", usual))
    if isinstance(told, str):
        return int(told) if re.fullmatch("[0-9]{1,4}", told) else usual
    return usual if told is None else told  # None: the field was emptied


def _options(spec: type[BaseModel], part: str, title: str, usual: Mapping[str, Usual], expert: bool) -> dict[str, Any]:
    """The options of a component, folded away."""
    names = shown_names(spec, part, usual[part], expert)
    if not names:
        return {}
    with st.expander(title), st.grid(3, min_column_width=NARROWEST):
        return spec_form(spec, part, usual[part], names=names)


def _training(usual: Mapping[str, Usual], expert: bool) -> dict[str, Any]:
    """The tables of a spec beside what is picked, as fields in line."""
    found: dict[str, Any] = {}
    for name, field in RunSpec.model_fields.items():
        owner = table_of(field)
        if name in PICKED or owner is None:
            continue
        known = usual.get(name) or class_usual(owner)
        told = spec_form(owner, name, known, names=shown_names(owner, name, known, expert))
        found |= {name: told} if told else {}
    return found


def _plain_fields(expert: bool) -> dict[str, Any]:
    """The other fields of a spec, folded away."""
    plain = [name for name, field in RunSpec.model_fields.items() if name not in PICKED and table_of(field) is None]
    names = shown_names(RunSpec, "", class_usual(RunSpec), expert, plain)
    if not names:
        return {}
    with st.expander("Where it is trained"), st.grid(3, min_column_width=NARROWEST):
        return spec_form(RunSpec, "", names=names)


def table_of(field: FieldInfo) -> type[BaseModel] | None:
    """The class of a field of a spec that is a table of its own."""
    owner = field.annotation
    return owner if isinstance(owner, type) and issubclass(owner, BaseModel) else None


def _sweep_options(expert: bool) -> tuple[str, dict[str, Any]]:
    """The sweep's name, and what its file says beside its runs."""
    own = shown_names(SweepFile, "sweep", class_usual(SweepFile), expert, ("priority", "measure"))
    budget = shown_names(Budget, "budget", class_usual(Budget), expert)
    if not expert and not own and not budget and not st.session_state.get("name") and "name" not in st.query_params:
        return "", {}
    with st.expander("Name, priority and budget of the sweep"), st.grid(3, min_column_width=NARROWEST):
        name = st.text_input(
            "Name", key="name", bind="query-params", max_chars=100, placeholder="datasets and architectures"
        )
        options = spec_form(SweepFile, "sweep", names=own)
        limits = spec_form(Budget, "budget", names=budget)
    return name or "", options | ({"budget": limits} if limits else {})
