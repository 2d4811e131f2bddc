"""What was measured of a run, and the button that has a worker measure it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import acts
from app.connection import ask_rows, settings
from app.measured import measurement_table
from app.phrases import count, literal
from engine.errors import BitfrontError
from tasks.submit import Asked, measuring

LIVE_SECONDS = 2
WORDS = {"waiting": "Waiting for a worker: runs that train go first.", "measuring": "A worker is measuring this run."}


def show_measured(row: Mapping[str, Any]) -> None:
    """Draw the section of a run (a row of the query ``run``); again and again while it is being measured."""
    going = st.session_state.get(_key(row["run"])) in WORDS
    st.fragment(run_every=LIVE_SECONDS if going else None)(_section)(row["run"], row["state"], going)


def _key(run: str) -> str:
    return f"measuring-{run}"


def _section(run: str, state: str, drawn_as_going: bool) -> None:
    found = ask_rows("measurements", runs=run)
    if found:
        st.dataframe(measurement_table(found), hide_index=True, height="content", alt="What was measured")
        first = found[0]
        st.caption(
            literal(
                f"{first['measured_at']:%Y-%m-%d %H:%M} UTC on {first['host']} ({first['cpu']}, {first['device']}), "
                f"{count(first['threads'], 'thread')}, allocator {first['allocator']}, "
                f"{count(first['epochs'], 'epoch')}; each variant in a fresh process."
            )
        )
    else:
        st.caption("Not measured yet. Measuring is a separate pass in fresh processes: it slows no training.")
    if state != "finished":
        return
    asked = _asked(run)
    st.session_state[_key(run)] = asked.state if asked else None
    if asked is not None and asked.state == "failed":
        st.error(literal(asked.reason), icon=":material/error:", title="Measuring failed")
    if asked is not None and asked.state in WORDS:
        st.info(WORDS[asked.state], icon=":material/hourglass_top:")
    elif acts.may_change():
        label = "Measure again" if found else "Measure"
        st.button(label, icon=":material/speed:", key=f"measure-{run}", on_click=_ask, args=(run,))
    if fault := st.session_state.get("measure_fault"):
        st.error(literal(fault), icon=":material/cloud_off:", title="Not asked")
    if (asked is not None and asked.state in WORDS) != drawn_as_going:
        st.rerun()


def _asked(run: str) -> Asked | None:
    try:
        return measuring(settings(), [run]).get(run)
    except BitfrontError:
        return None  # without a queue there is nobody to ask; the button says so


def _ask(run: str) -> None:
    try:
        acts.measure(run)
    except BitfrontError as error:
        st.session_state["measure_fault"] = str(error)
    else:
        st.session_state.pop("measure_fault", None)
        st.session_state[_key(run)] = "waiting"
