"""Launch: what to train, what it will cost, and the same thing as command line, Python and TOML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import acts
from app.caveats import show_caveats
from app.charts.layout import CONFIG
from app.charts.precision import schedule_chart
from app.clone import PARENT
from app.connection import ask_rows, settings
from app.describe import standard
from app.forms import option_names, spec_form
from app.launch_plan import LaunchPlan, command_lines, parse_seeds, python_text, split_schemes, sweep_name, sweep_toml
from app.own_files import choose_own_files
from app.phrases import count, duration, literal, sentence_case
from app.schedules import Planned, planned
from engine.datasets import DATASETS
from engine.datasets.archives import notes
from engine.errors import BitfrontError, InputError, RunError
from engine.ledger import preview
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.scheme import parse_scheme
from engine.schemes import RECIPES
from engine.spec import RunSpec, TrainingSpec, read_toml
from engine.sweep import expand
from store.client import StoreUnavailable

EXAMPLES = list(dict.fromkeys(example for recipe in RECIPES.values() for example in recipe.examples))
DEVICES = list(get_args(RunSpec.model_fields["device"].annotation))
FIRST_DATASET, FIRST_MODEL = "cora", "gcn"  # as `bitfront run` has them
MOST_LINKED = 12


@st.cache_data(max_entries=2000, show_spinner=False)
def densities(spec: str) -> list[dict]:
    """The densities of a run, headline first, by its spec's JSON. Raises InputError where they are not known yet."""
    return [found.model_dump() for found in preview(RunSpec.from_json(spec))]


def _choose(label: str, names: list[str], first: str, key: str, **options: Any) -> str:
    index = names.index(first) if first in names else 0
    return st.selectbox(label, names, index=index, key=key, bind="query-params", **options)


def take_defaults(chosen: str) -> None:
    """After another dataset, task or architecture is chosen: the fields get the defaults that it has."""
    state = st.session_state
    if chosen == "dataset":
        state["task"] = DATASETS[state["dataset"]].tasks[0]
    for part, options in standard(state["dataset"], state["task"], state["model"]).items():
        for name, value in options.items():
            if name != "name":
                state[f"{part}.{name}"] = value


def take_task(task: str) -> None:
    """The task that fits uploaded files, with its defaults."""
    st.session_state["task"] = task
    take_defaults("task")


def choose_dataset(files: DeltaGenerator) -> dict:
    """The dataset with its options; ``files`` is where a person's own are uploaded and picked."""
    name = _choose(
        "Dataset", [*DATASETS, *DATASETS.members], FIRST_DATASET, "dataset", on_change=take_defaults, args=("dataset",)
    )
    entry = DATASETS[name]
    st.caption(f"{entry.summary} · {entry.licence}")
    if entry.synthetic:
        st.badge("Synthetic data", icon=":material/science:", color="violet")
    own = {}
    if entry.own_files:
        with files:
            own = choose_own_files(entry, take_task)
    return {"name": name, **own, **_options(entry.spec, "dataset", f"Options of {name}")}


def choose_task(dataset: str) -> dict:
    """The task, its options, and whether every fold is trained (``every_fold``)."""
    names = list(DATASETS[dataset].tasks)
    changed = {"on_change": take_defaults, "args": ("task",)}
    name = _choose("Task", names, names[0], "task", format_func=lambda name: OBJECTIVES[name].label, **changed)
    objective = OBJECTIVES[name]
    better = "higher" if objective.higher_is_better else "lower"
    st.caption(f"{objective.summary} · {better} is better")
    usual = standard(dataset, name, FIRST_MODEL).get("task")
    return {"name": name, **_options(objective.spec, "task", f"Options of {objective.label}", usual)}


def choose_model(dataset: str, task: str) -> dict:
    changed = {"on_change": take_defaults, "args": ("model",)}
    name = _choose("Architecture", list(MODELS), FIRST_MODEL, "model", **changed)
    st.caption(f"{MODELS[name].summary} · {MODELS[name].source}")
    usual = standard(dataset, task, name).get("model")
    return {"name": name, **_options(MODELS[name].spec, "model", f"Options of {name}", usual)}


def choose_folds(task: Mapping[str, Any]) -> bool:
    """Whether every fold of a cross-validation is trained."""
    if not task.get("folds"):
        return False
    return st.toggle(
        f"Every one of the {task['folds']} folds",
        value=True,
        key="every_fold",
        bind="query-params",
        help="Each seed is trained on each fold, all of them one group. Off: only the fold that the options name.",
    )


def _options(spec: type, prefix: str, title: str, defaults: Mapping[str, Any] | None = None) -> dict:
    if not option_names(spec):
        return {}
    with st.expander(title), st.grid(3, min_column_width=120):
        return spec_form(spec, prefix, defaults)


def choose_schemes() -> tuple[str, ...] | None:
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


def seeds_field() -> str:
    return st.text_input(
        "Seeds",
        value="3",
        key="seeds",
        bind="query-params",
        live="300ms",
        help="A count (3 trains seeds 0, 1, 2) or a list (0, 4, 7).",
    )


def read_seeds(text: str) -> tuple[int, ...] | None:
    """The seeds; None where they cannot be read (said here)."""
    try:
        return parse_seeds(text)
    except InputError as error:
        st.error(literal(error), icon=":material/error:")
        return None


def choose() -> tuple[LaunchPlan | None, int]:
    """Draw the form; gives the plan (None where a field says what is wrong) and the priority."""
    left, middle, right = st.columns(3)
    files = st.container()
    with left:
        dataset = choose_dataset(files)
    with middle:
        task = choose_task(dataset["name"])
    with right:
        model = choose_model(dataset["name"], task["name"])
    schemes = choose_schemes()
    every_fold = choose_folds(task)
    usual = standard(dataset["name"], task["name"], model["name"]).get("training")
    with st.grid(4, min_column_width=120):
        seeds_text = seeds_field()
        training = spec_form(TrainingSpec, "training", usual)
    seeds = read_seeds(seeds_text)
    with st.expander("Device and priority"):
        left, right = st.columns(2)
        with left:
            device = st.segmented_control(
                "Device",
                DEVICES,
                default=DEVICES[0],
                required=True,
                key="device",
                bind="query-params",
                help="auto: whichever worker has room, CUDA first.",
            )
        with right:
            priority = st.slider(
                "Priority", 0, 9, 5, key="priority", bind="query-params", help="0 is served first, 9 last."
            )
    if schemes is None or seeds is None:
        return None, priority
    device = device or DEVICES[0]
    return LaunchPlan(dataset, model, schemes, seeds, training, device, task, every_fold), priority


def seconds_each(plan: LaunchPlan) -> dict[str, float]:
    """Expected seconds a run by scheme, from finished runs of this dataset and architecture."""
    try:
        history = ask_rows("history")
    except StoreUnavailable:
        return {}
    alike = [row for row in history if (row["dataset"], row["model"]) == (plan.dataset["name"], plan.model["name"])]
    if not alike:
        return {}
    usual = sum(row["seconds_per_epoch"] * row["n"] for row in alike) / sum(row["n"] for row in alike)
    known = {row["scheme"]: row["seconds_per_epoch"] for row in alike}
    return {scheme: known.get(scheme, usual) * plan.training["epochs"] for scheme in plan.firsts}


def workers_alive() -> int:
    try:
        return sum(row["alive"] for row in ask_rows("workers"))
    except StoreUnavailable:
        return 0


def show_estimate(plan: LaunchPlan) -> None:
    times = seconds_each(plan)
    workers = workers_alive()
    total = sum(times.get(scheme, 0.0) for scheme in plan.firsts) * len(plan.seeds) * len(plan.folds)
    parts = [count(len(plan.schemes), "scheme"), count(len(plan.seeds), "seed")]
    if len(plan.folds) > 1:
        parts.append(count(len(plan.folds), "fold"))
    runs, time = st.columns(2)
    runs.metric("Runs", plan.size, help=" × ".join(parts))
    time.metric(
        "Expected time",
        duration(total / max(workers, 1)) if times else "unknown",
        help=f"From earlier runs of this dataset and architecture, on {count(workers, 'live worker')}."
        if times
        else "No finished run of this dataset and architecture yet.",
    )
    rows, unpublished, unknown = [], [], []
    for scheme, spec in plan.firsts.items():
        try:
            headline = densities(spec.to_json())[0]
        except InputError as error:
            rows.append({"Scheme": scheme, "Holds for": "known after the first run on this dataset"})
            unknown.append(str(error))
            continue
        rows.append(
            {
                "Scheme": scheme,
                "Memory": headline["memory"],
                "Arithmetic": headline["arithmetic"],
                "Bits": headline["average_bits"],
                "Holds for": f"{headline['scope']}, {headline['coverage']}",
            }
        )
        if headline["arithmetic_label"] != "published":
            unpublished.append(f"{scheme} ({headline['arithmetic_label']})")
    for reason in unknown:
        st.caption(reason[0].upper() + reason[1:] + ".")
    if rows:
        st.dataframe(
            rows,
            hide_index=True,
            height="content",
            alt="Densities of each scheme before launching",
            column_config={
                "Scheme": st.column_config.TextColumn(pinned=True),
                "Memory": st.column_config.NumberColumn(
                    format="%.2f×", help="Memory density: 32 / average bits an element, in this scope and coverage."
                ),
                "Arithmetic": st.column_config.NumberColumn(
                    format="%.2f×",
                    help="Arithmetic density relative to fp32 (Rouhani et al. 2020), work-weighted harmonic mean.",
                ),
                "Bits": st.column_config.NumberColumn(
                    format="%.2f", help="Average bits an element, shared exponents included."
                ),
                "Holds for": st.column_config.TextColumn(
                    help="Scope and coverage. inference: forward products and aggregates; training: the backward ones "
                    "too. quantized part: what the scheme quantizes."
                ),
            },
        )
    show_schedules(plan)
    if unpublished:
        st.caption(literal(f"Arithmetic density beyond the published table: {', '.join(unpublished)}."))
    try:
        show_caveats([notes(plan.dataset["name"], settings())])
    except RunError as error:  # a mirror that cannot be read; the run will say so too
        show_caveats([str(error)])


@st.cache_data(max_entries=2000, show_spinner=False)
def stages(spec: str) -> list[Planned]:
    """The schedule of a run, by its spec's JSON."""
    return planned(RunSpec.from_json(spec), settings())


def show_schedules(plan: LaunchPlan) -> None:
    """The bits that the schemes plan, by epoch, where one of them changes its formats."""
    if not any(spec.parsed_scheme.schedule for spec in plan.firsts.values()):
        return
    plans = {scheme: stages(spec.to_json()) for scheme, spec in plan.firsts.items()}
    st.markdown("**Bits by epoch**")
    st.plotly_chart(
        schedule_chart(plans, plan.training["epochs"]),
        key="schedules",
        config=CONFIG,
        alt=f"Bits by epoch as planned: {', '.join(plans)}",
    )
    if not all(stage.certain for found in plans.values() for stage in found):
        st.caption(
            "Dashed: signals of the run decide. Drawn is the earliest that they may raise the bits, so the densities "
            "above are the least that the run can have."
        )


def launch(plan: LaunchPlan, priority: int, again: bool) -> None:
    """Launch all the runs or none, and say which. Several are a sweep: what is there already is not trained again."""
    parent = st.query_params.get(PARENT)
    try:
        if plan.size == 1:
            runs = acts.launch(plan.specs(), priority=priority, sweep=None, parent=parent)
            done = {"runs": runs, "sweep": None, "new": 1}
        else:
            text = sweep_toml(plan, sweep_name(plan), priority)
            launched = acts.launch_sweep(expand(read_toml(text, "the launch")), again=again, parent=parent)
            runs, new = [run for run in launched.runs if run], launched.launched + launched.resumed
            done = {"runs": runs, "sweep": launched.sweep, "new": new}
    except BitfrontError as error:
        st.session_state["launch_fault"] = str(error)
        st.session_state.pop("launched", None)
    else:
        st.session_state["launched"] = done
        st.session_state.pop("launch_fault", None)


def show_outcome() -> None:
    fault = st.session_state.get("launch_fault")
    if fault:
        st.error(literal(fault), icon=":material/cloud_off:", title="Not launched")
        st.caption("Everything you chose is still in the form: launch again once the queue answers.")
    launched = st.session_state.get("launched")
    if launched:
        chosen = launched["runs"][:MOST_LINKED]
        parameters = {"run": ",".join(chosen)} | ({"sweep": launched["sweep"]} if launched["sweep"] else {})
        there = len(launched["runs"]) - launched["new"]
        rest = f"; {count(there, 'run')} {'was' if there == 1 else 'were'} there already" if there else ""
        st.success(f"Launched {count(launched['new'], 'run')}{rest}.", icon=":material/check:")
        st.page_link(
            "views/runs.py",
            label="Watch these runs",
            icon=":material/monitoring:",
            query_params=parameters,
        )
        if launched["sweep"]:
            st.page_link(
                "views/sweeps.py",
                label="See the whole grid",
                icon=":material/grid_on:",
                query_params={"sweep": launched["sweep"]},
            )


def show_equivalents(plan: LaunchPlan, priority: int) -> None:
    st.subheader("The same from elsewhere")
    command, python, toml = st.tabs(["Command line", "Python", "Sweep file"])
    command.code(command_lines(plan), language="bash", wrap_lines=True)
    python.code(python_text(plan), language="python", wrap_lines=True)
    toml.code(sweep_toml(plan, sweep_name(plan), priority), language="toml", wrap_lines=True)


st.title("Launch")
if parent := st.query_params.get(PARENT):
    st.caption(f":material/content_copy: Filled in from run {literal(parent)}, the parent of what is launched.")
form, estimate = st.columns([6, 5], gap="large")
with form:
    plan, priority = choose()
faults = plan.faults() if plan else []
with estimate, st.container(border=True):
    st.subheader("Before you launch")
    if plan is not None:
        show_estimate(plan)
    for fault in faults:
        st.error(literal(fault), icon=":material/error:")
    again = (plan is not None and plan.size > 1) and st.toggle(
        "Train again what is there already",
        key="again",
        help="Off: runs of the same settings that this code has finished, or that go on, are not launched twice.",
    )
    if (
        st.button(
            f"Launch {count(plan.size, 'run')}" if plan and plan.size else "Launch",
            type="primary",
            icon=":material/play_arrow:",
            key="launch",
            width="stretch",
            disabled=bool(faults) or plan is None or not acts.may_change(),
        )
        and plan
    ):
        launch(plan, priority, again)
    if why := acts.why_not():
        st.caption(f":material/lock: {sentence_case(why)}.")
    show_outcome()
if plan and not faults:
    show_equivalents(plan, priority)
