"""What was measured of a run, and the button that has a worker measure it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import streamlit as st

from app import acts
from app.connection import ask_rows, settings
from app.live import live, redraw
from app.measured import conditions_text, measurement_table
from app.phrases import literal
from engine.errors import BitfrontError
from tasks.submit import Asked, measuring

LIVE_SECONDS = 2
WORDS = {"waiting": "Waiting for a worker: runs that train go first.", "measuring": "A worker is measuring this run."}


@dataclass(frozen=True)
class Following:
    """A measurement that this page waits for."""

    before: datetime | None
    """When the run had been measured last as the waiting began; None: never."""
    quiet: int = 0
    """How often in a row the queue has named no such measurement since."""


MOST_QUIET = 15
"""So often: the store takes in what was measured some moments after the queue has forgotten that it was asked for."""


def follow(following: Following | None, asked: Asked | None, measured_at: datetime | None) -> Following | None:
    """What the page waits for after another look; None: for nothing (it has failed, or what was measured is there)."""
    if asked is not None and asked.state in WORDS:
        return Following(measured_at if following is None else following.before)
    if following is None or asked is not None or measured_at != following.before:
        return None
    return replace(following, quiet=following.quiet + 1) if following.quiet < MOST_QUIET else None


def show_measured(row: Mapping[str, Any]) -> None:
    """Draw the section of a run (a row of the query ``run``); again and again while it is being measured."""
    going = st.session_state.get(_key(row["run"])) is not None
    live(LIVE_SECONDS if going else None, _section)(row["run"], row["state"], going)


def _key(run: str) -> str:
    return f"measuring-{run}"


def _fault(run: str) -> str:
    return f"measure-fault-{run}"


def _section(run: str, state: str, drawn_as_going: bool) -> None:
    found = ask_rows("measurements", runs=run)
    if found:
        st.dataframe(measurement_table(found), hide_index=True, height="content", alt="What was measured")
        st.caption(literal(conditions_text(found[0])))
    else:
        st.caption("Not measured yet. Measuring is a separate pass in fresh processes: it slows no training.")
    if state != "finished":
        return
    asked = _asked(run)
    measured_at = found[0]["measured_at"] if found else None
    following = follow(st.session_state.get(_key(run)), asked, measured_at)
    st.session_state[_key(run)] = following
    if asked is not None and asked.state == "failed":
        st.error(literal(asked.reason), icon=":material/error:", title="Measuring failed")
    if following is not None:
        st.info(WORDS["measuring" if asked is None else asked.state], icon=":material/hourglass_top:")
    elif acts.may_change():
        label = "Measure again" if found else "Measure"
        st.button(label, icon=":material/speed:", key=f"measure-{run}", on_click=_ask, args=(run, measured_at))
    if fault := st.session_state.get(_fault(run)):
        st.error(literal(fault), icon=":material/cloud_off:", title="Not asked")
    if (following is not None) != drawn_as_going:
        redraw()


def _asked(run: str) -> Asked | None:
    try:
        return measuring(settings(), [run]).get(run)
    except BitfrontError:
        return None  # without a queue there is nobody to ask; the button says so


def _ask(run: str, measured_at: datetime | None) -> None:
    try:
        acts.measure(run)
    except BitfrontError as error:
        st.session_state[_fault(run)] = str(error)
    else:
        st.session_state.pop(_fault(run), None)
        st.session_state[_key(run)] = Following(measured_at)
