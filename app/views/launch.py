"""Launch: what to train, what it will cost, and the same thing as command line, Python and TOML."""

from __future__ import annotations

import json

import streamlit as st

from app import acts
from app.clone import PARENT
from app.connection import ask_rows
from app.guide import launched as tell_guide
from app.launching.elsewhere import command_lines, python_text, toml_text
from app.launching.filling import BASIC, CLONED, DETAIL, EXPERT, FILE
from app.launching.form import show_form, take_older_link
from app.launching.plan import Checked, check_plan, check_table
from app.launching.presets import Preset, presets
from app.launching.preview import show_preview
from app.launching.taking import FORM, OF_SWEEP, TEXT, take_form, take_table
from app.phrases import count, literal, sentence_case
from engine.errors import BitfrontError, InputError
from engine.spec import read_toml
from engine.sweep import expand

MOST_LINKED = 12


def take_preset() -> None:
    """Fill the form in with the preset that was picked, or the file where the form cannot say it."""
    chosen = presets().get(st.session_state["preset"] or "")
    if chosen is not None:
        take_table(chosen.sweep)


def show_presets() -> None:
    """The papers' settings, and how much of the form is shown."""
    known = presets()
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    chosen = left.selectbox(
        "Begin with the settings of a paper",
        list(known),
        index=None,
        format_func=lambda name: known[name].title,
        key="preset",
        on_change=take_preset,
        placeholder="Pick a preset",
    )
    right.segmented_control(
        "Form",
        [BASIC, EXPERT, FILE],
        default=BASIC,
        required=True,
        key=DETAIL,
        bind="query-params",
        help="Basic: what most launches differ in. Expert: every field. Sweep file: blocks, ranges and exclusions too.",
    )
    if chosen:
        show_source(known[chosen])


def show_source(preset: Preset) -> None:
    st.caption(f":material/menu_book: {literal(preset.source)}. {literal(' '.join(preset.about.split()))}")


@st.cache_resource(max_entries=10, show_spinner=False)  # thousands of runs, which nobody changes: never copied
def check_text(text: str) -> Checked:
    """The runs of a sweep's file. Raises InputError where it cannot be read."""
    return check_table(read_toml(text, "the sweep file"))


def write_file() -> Checked | None:
    """The sweep's file, typed or taken over; None where it cannot be read (said here)."""
    state, sweep = st.session_state, st.query_params.get(CLONED)
    if sweep and state.get(OF_SWEEP) != sweep:
        state[OF_SWEEP] = sweep
        rows = ask_rows("sweeps", sweep=sweep)
        if rows and rows[0]["plan"]:
            state[TEXT] = toml_text(json.loads(rows[0]["plan"]))
        else:
            st.warning(f"There is no file of the sweep {literal(sweep)} here.", icon=":material/search_off:")
    take_form()
    text = st.text_area(
        "Sweep file (TOML)",
        key=TEXT,
        height=460,
        persist_state="session",
        help="As `bitfront sweep FILE.toml` reads it: lists and ranges are axes of the grid, [[runs]] blocks say what "
        "differs, [[exclude]] what is left out.",
    )
    if not (text or "").strip():
        st.caption("Write a table, or begin with a preset, with the form, or with a sweep that was launched.")
        return None
    try:
        return check_text(str(text))
    except InputError as error:
        st.error(literal(error), icon=":material/error:")
        return None


def choose() -> Checked | None:
    """Draw the form or the file; gives what it would launch."""
    detail = st.session_state.get(DETAIL) or BASIC
    if detail == FILE:
        return write_file()
    plan = show_form(expert=detail == EXPERT)
    found = None if plan is None else check_plan(plan)
    if found is not None and found.cells:
        st.session_state[FORM] = toml_text(found.table)
    return found


def is_sweep(found: Checked) -> bool:
    """Whether it is launched as a sweep: several runs, or one with what only a sweep can say."""
    return found.runs > 1 or any(found.table.get(key) for key in ("measure", "budget"))


def launch(found: Checked, again: bool) -> None:
    """Launch all the runs or none, and say which. Of a sweep, what is there already is not trained again."""
    parent = st.query_params.get(PARENT)
    try:
        if not is_sweep(found):
            spec = found.cells[0]
            priority = found.table.get("priority", 5)
            runs = acts.launch([spec], priority=priority, sweep=None, parent=parent)
            done = {"runs": runs, "sweep": None, "new": 1}
        else:
            launched = acts.launch_sweep(expand(found.table), again=again, parent=parent)
            runs, new = [run for run in launched.runs if run], launched.launched + launched.resumed
            done = {"runs": runs, "sweep": launched.sweep, "new": new}
    except BitfrontError as error:
        st.session_state["launch_fault"] = str(error)
        st.session_state.pop("launched", None)
    else:
        st.session_state["launched"] = done
        st.session_state.pop("launch_fault", None)
        tell_guide(done["runs"])


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


def show_faults(found: Checked) -> None:
    """What is wrong; combinations that cannot be run may be left out."""
    for fault in found.faults:
        st.error(literal(fault), icon=":material/error:")
    if found.unfit:
        st.toggle(
            f"Leave out {count(found.unfit, 'combination')} that cannot be run",
            key="leave_out",
            bind="query-params",
            help="The others are launched; the sweep file names what is left out.",
        )


def show_launch(found: Checked | None) -> None:
    """The button, and how it went."""
    again = (found is not None and is_sweep(found)) and st.toggle(
        "Train again what is there already",
        key="again",
        help="Off: runs of the same settings that this code has finished, or that go on, are not launched twice.",
    )
    ready = found is not None and not found.faults and found.runs > 0
    clicked = st.button(
        f"Launch {count(found.runs, 'run')}" if found and found.runs else "Launch",
        type="primary",
        icon=":material/play_arrow:",
        key="launch",
        width="stretch",
        disabled=not ready or not acts.may_change(),
    )
    if clicked and found:
        launch(found, again)
    if why := acts.why_not():
        st.caption(f":material/lock: {sentence_case(why)}.")
    show_outcome()


def show_equivalents(found: Checked) -> None:
    st.subheader("The same from elsewhere")
    command, python, toml = st.tabs(["Command line", "Python", "Sweep file"])
    command.code(command_lines(found), language="bash", wrap_lines=True)
    python.code(python_text(found), language="python", wrap_lines=True)
    toml.code(toml_text(found.table), language="toml", wrap_lines=True)


st.title("Launch")
if parent := st.query_params.get(PARENT):
    st.caption(f":material/content_copy: Filled in from run {literal(parent)}, the parent of what is launched.")
take_older_link()
form, estimate = st.columns([6, 5], gap="large")
with form:
    show_presets()
    found = choose()
with estimate, st.container(border=True):
    st.subheader("Before you launch")
    if found is not None:
        show_preview(found)
        show_faults(found)
    show_launch(found)
if found is not None and not found.faults:
    show_equivalents(found)
