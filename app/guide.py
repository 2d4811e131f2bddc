"""The guided demo of somebody who has no run yet: two minutes on the built-in graph, on real pages with real runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app import acts
from app.connection import ask_rows
from app.launching.taking import take_table
from app.live import live, redraw
from app.phrases import count
from app.run_table import ENDED
from store.client import StoreUnavailable

STEP, RUNS, REFUSED = "guide", "guide-runs", "guide-refused"
"""In the session: the step that is reached (none: not on a tour), the runs that it launched, whether it was ended."""

LIVE_SECONDS = 2

DEMO: Mapping[str, Any] = {
    "name": "first-look",
    "seeds": 3,
    "spec": {
        "dataset": "karate",
        "model": "gcn",
        "scheme": ["fp32", "int8", "int4", "msfp12"],
        "training": {"epochs": 60},
    },
}
"""What it launches: nothing of it is downloaded."""


@dataclass(frozen=True)
class Step:
    """What is said on a page, and the way to the next one."""

    page: str
    title: str
    text: str
    next: str = ""
    """The file of the next step's page; empty: the last step."""
    label: str = ""


STEPS = (
    Step(
        "Launch",
        "Launch",
        "The form is filled in: a graph of 34 members of a karate club, one architecture, four number formats, three "
        "seeds. Beside it stand the densities that each format has over fp32, before anything is trained. "
        "**Press “Launch 12 runs”.**",
    ),
    Step(
        "Launch",
        "Launch",
        "The runs are queued. Workers take them one by one; what is launched stays, also when this page is closed.",
        "views/runs.py",
        "Watch them train",
    ),
    Step(
        "Runs",
        "Watch",
        "The curves grow while the workers train: loss and accuracy of one run of each format. The first runs take "
        "some seconds longer, since their worker has to start. A run opens with its cost, its log and where it loses "
        "accuracy. When all have finished, compare them.",
        "views/compare.py",
        "Compare the formats",
    ),
    Step(
        "Compare",
        "Compare",
        "Each point is a format: the mean of its seeds, with their spread, against the density that you choose. The "
        "line joins those that no other one beats. Click a point for its numbers; click two for their difference. "
        "All that you pick is in the page's link, and “Share” saves it under a title. That is all there is to it: "
        "launch something of your own next.",
    ),
)


def show_guide(page: str) -> None:
    """On the page of this title: the offer where there is no run yet, or the step that is reached."""
    step = st.session_state.get(STEP)
    if step is None:
        if page == STEPS[0].page and not st.session_state.get(REFUSED) and acts.may_change() and _is_empty():
            _offer()
        return
    if page == "Runs" and step == 1:
        step = st.session_state[STEP] = 2
    if page == "Compare" and step == 2:
        step = st.session_state[STEP] = 3
    found = STEPS[step]
    if found.page == page:
        _show_step(found)


def launched(runs: Sequence[str]) -> None:
    """Runs were launched: on the tour the next step is there."""
    if st.session_state.get(STEP) == 0:
        st.session_state[STEP], st.session_state[RUNS] = 1, list(runs)
        redraw()


def _is_empty() -> bool:
    try:
        return not ask_rows("counts")
    except StoreUnavailable:
        return False


def _offer() -> None:
    with st.container(border=True, key="guide"):
        st.markdown("**New here?** See in two minutes how a quantized network is trained, watched and compared.")
        st.caption("Twelve short runs on a built-in graph of 34 people; nothing is downloaded.")
        with st.container(horizontal=True):
            st.button("Show me", type="primary", icon=":material/tour:", key="guide-start", on_click=_start)
            st.button("No, thanks", type="tertiary", key="guide-refuse", on_click=_end)


def _start() -> None:
    take_table(DEMO)
    st.session_state[STEP] = 0


def _end() -> None:
    st.session_state.pop(STEP, None)
    st.session_state[REFUSED] = True


def _show_step(step: Step) -> None:
    titles = list(dict.fromkeys(each.title for each in STEPS))
    with st.container(border=True, key="guide"):
        st.progress(
            (titles.index(step.title) + 1) / len(titles),
            text=f"Tour, {titles.index(step.title) + 1} of {len(titles)}: **{step.title.lower()}**",
        )
        st.markdown(step.text)
        with st.container(horizontal=True, vertical_alignment="center"):
            if step.next:
                _show_next(step)
            st.button(
                "End the tour" if step is not STEPS[-1] else "Done",
                type="tertiary" if step is not STEPS[-1] else "primary",
                key="guide-end",
                on_click=_end,
            )


def _show_next(step: Step) -> None:
    runs = st.session_state.get(RUNS, [])
    schemes = len(DEMO["spec"]["scheme"])
    parameters = {"run": ",".join(runs[:schemes])} if step.next == "views/runs.py" else {}
    st.page_link(step.next, label=step.label, icon=":material/arrow_forward:", query_params=parameters)
    if step.page == "Runs":
        live(LIVE_SECONDS, _show_going)(runs)


def _show_going(runs: Sequence[str]) -> None:
    states = {row["run"]: row["state"] for row in ask_rows("states", runs=list(runs))} if runs else {}
    going = sum(states.get(run, "queued") not in ENDED for run in runs)
    st.caption(f"{count(going, 'run')} to go" if going else "All of them have finished.", width="content")
