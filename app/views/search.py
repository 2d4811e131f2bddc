"""Search: looking for the scheme that costs least; its front, how right its cost model is, its winner to launch."""

from __future__ import annotations

import json
import zlib
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from app import acts
from app.charts.layout import CONFIG
from app.charts.searching import granularity_chart, predicted_chart, saving_chart, search_front
from app.connection import ask_rows
from app.digits import number
from app.live import live, redraw
from app.phrases import count, duration, literal, sentence_case
from app.search_rows import Told, alike, of_one_goal, progress, told, winner_parameters
from app.share import show_heading, show_share
from engine.errors import BitfrontError
from engine.search.course import STAGES

Row = dict[str, Any]

LIVE_SECONDS, IDLE_SECONDS = 2, 10
MOST_COMPARED = 8
"""Searches of one dataset, task and architecture that are drawn side by side."""


def show_empty() -> None:
    with st.container(border=True, horizontal_alignment="center"):
        st.subheader("No searches yet", text_alignment="center")
        st.caption(
            "A search finds the scheme that costs least within a drop of accuracy that you allow. Launch one of the "
            "files in studies/, or your own, with `bitfront search FILE.toml`.",
            text_alignment="center",
        )


def _picked(key: str, shown: list[str]) -> None:
    rows = st.session_state[key].selection.rows
    if rows and rows[0] < len(shown):
        st.query_params["search"] = shown[rows[0]]


def show_list(rows: list[Row], chosen: str) -> None:
    """Every search in a line; picking one puts it into the address."""
    shown = [row["search"] for row in rows]
    results = [json.loads(row["result"] or "{}") for row in rows]
    key = f"searches-{zlib.crc32(' '.join(shown).encode()):x}"
    st.dataframe(
        {
            "Name": [row["name"] for row in rows],
            "Dataset": [row["dataset"] for row in rows],
            "Architecture": [row["model"] for row in rows],
            "State": [row["state"] for row in rows],
            "Runs": [row["asked"] for row in rows],
            "Not over": [row["unfinished"] for row in rows],
            "Winner": [result.get("scheme") for result in results],
            "Saving": [result.get("saving") for result in results],
            "Launched": [row["submitted_at"] for row in rows],
        },
        key=key,
        hide_index=True,
        on_select=lambda: _picked(key, shown),
        selection_mode="single-row",
        selection_default={"selection": {"rows": [shown.index(chosen)] if chosen in shown else []}},
        height=min(38 + 35 * len(shown), 248),
        alt="Searches, newest first",
        column_config={
            "Saving": st.column_config.NumberColumn(format="%.2f×"),
            "Launched": st.column_config.DatetimeColumn(format="distance"),
        },
    )


def _cancel(search: str) -> None:
    try:
        acts.cancel_search(search)
    except BitfrontError as error:
        st.session_state["search_fault"] = str(error)
    else:
        st.session_state.pop("search_fault", None)
        st.toast("The search ends; its runs are cancelled.")


def show_acts(row: Row) -> None:
    if row["state"] == "running" and acts.may_change():
        st.button(
            "End the search", icon=":material/cancel:", key="cancel-search", on_click=_cancel, args=(row["search"],)
        )
    elif row["state"] == "running" and (why := acts.why_not()):
        st.caption(f":material/lock: {sentence_case(why)}.")
    if fault := st.session_state.get("search_fault"):
        st.error(literal(fault), icon=":material/cloud_off:", title="Not done")


def show_progress(row: Row, trials: list[Row]) -> None:
    done, asked = progress(trials)
    stage = trials[-1]["stage"] if trials else "reference"
    if row["state"] == "running":
        text = f"{sentence_case(STAGES[stage])}: {done} of {asked} runs are over"
        st.progress(done / max(asked, 1), text=literal(text))
    if row["reason"]:
        st.error(literal(sentence_case(row["reason"])), icon=":material/search_off:", title="No winner")


def show_winner(row: Row, trials: list[Row]) -> None:
    """The winning configuration as a text to copy or launch, with its confirmation."""
    result = json.loads(row["result"] or "{}")
    if not result.get("scheme"):
        return
    file, test, unit = json.loads(row["file"]), result.get("test") or {}, result.get("unit") or ""
    with st.container(border=True):
        st.markdown("**Winner**")
        st.code(result["scheme"], language=None, wrap_lines=True)
        with st.grid(4, min_column_width=170):
            published = file.get("published")
            st.metric(
                "Saving of " + file["figure"].replace("_", " "),
                f"{result['saving']:.2f}×",
                delta=f"published: {published:g}×" if published else None,
                delta_color="off",
                border=True,
                help=file.get("source") or None,
            )
            bits = (result.get("figures") or {}).get("average_bits_sgquant")
            st.metric("Average bits (SGQuant)", "–" if bits is None else f"{bits:.2f}", border=True)
            if test.get("n"):
                spread = f" ± {number(test['winner_std'], unit)}" if "winner_std" in test else ""
                st.metric(f"Test, {count(test['n'], 'seed')}", f"{number(test['winner'], unit)}{spread}", border=True)
                interval = f" ± {number(test['difference_ci95'], unit)}" if "difference_ci95" in test else ""
                st.metric(
                    "Minus fp32 (95 %)",
                    f"{number(test['difference'], unit, '+')}{interval}",
                    border=True,
                    help=f"fp32, same seeds: {number(test['fp32'], unit)} {unit}",
                )
        took = (row["ended_at"] - row["submitted_at"]).total_seconds() if row["ended_at"] else None
        st.caption(
            literal(
                f"{result['measured']} configurations measured: {count(result['few_runs'], 'run')} of few epochs, "
                f"{count(result['full_fine_tunings'], 'fine-tuning')}, "
                f"{count(result['full_trainings'], 'full training')}; {result['failed']} failed; {duration(took)}"
            )
        )
        st.page_link(
            "views/launch.py",
            label="Launch this scheme",
            icon=":material/play_arrow:",
            query_params=winner_parameters(row, trials),
        )


@st.cache_data(max_entries=64, ttl=2, show_spinner=False)
def read(search: str) -> tuple[Row, list[Row], Told] | None:
    """A search with its trials; None where there is none."""
    rows = ask_rows("searches", search=search)
    if not rows:
        return None
    trials = ask_rows("trials", search=search)
    reference = ask_rows("run", run=trials[0]["run"]) if trials else []
    return rows[0], trials, told(rows[0], trials, reference[0]["provenance"] if reference else None)


def _draw(figure: go.Figure, name: str, alt: str) -> None:
    st.plotly_chart(figure, key=f"search-{name}", config=CONFIG, alt=alt)


def show_charts(found: Told, others: list[Told], winner: str) -> None:
    if not found.candidates:
        st.info("No candidate has been measured yet: the front appears with the first one.", icon=":material/tune:")
        return
    every = [found, *others]
    same = of_one_goal(every)
    with st.grid(2, min_column_width=420):
        with st.container():
            st.markdown("**Front** of what was measured")
            _draw(
                search_front(found, winner=winner), "front", f"Validation {found.metric} of what was measured by saving"
            )
        if any(each.predicted is not None for each in found.candidates):
            with st.container():
                st.markdown("**Measured against predicted** by the cost model")
                _draw(predicted_chart(found), "predicted", "Measured against predicted by the cost model")
        with st.container():
            st.markdown("**Error against cost** by granularity")
            _draw(granularity_chart(every), "granularity", "Least error by cost, a line a granularity")
        if found.fp32_cost is not None:
            with st.container():
                st.markdown("**Best saving** by measured configurations")
                if any(best is not None for each in same for best in each.best_savings[-1:]):
                    _draw(saving_chart(same), "saving", "Best saving by the number of measured configurations")
                else:
                    st.info("No configuration keeps the goal so far.", icon=":material/hourglass_top:")
    if others:
        left_out = "; savings of those with this goal only" if len(same) < len(every) else ""
        st.caption(
            f"With {count(len(others), 'other search', 'other searches')} of this dataset, task and architecture"
            f"{left_out}."
        )


def search_card(search: str, state: str) -> None:
    """The live part; draws the page again when the search ends."""
    found = read(search)
    if found is None:
        st.info(f"There is no search {literal(search)} here.", icon=":material/search_off:")
        return
    row, trials, mine = found
    show_progress(row, trials)
    show_acts(row)
    show_winner(row, trials)
    like = alike(row, ask_rows("searches"))[1:MOST_COMPARED]
    others = [other[2] for each in like if (other := read(each["search"]))]
    show_charts(mine, others, json.loads(row["result"] or "{}").get("scheme") or "")
    if row["state"] != state:
        redraw()


with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Search", width="content")
    show_share("search")
show_heading()
searches = ask_rows("searches")
if not searches:
    show_empty()
else:
    chosen = str(st.query_params.get("search", "")) or searches[0]["search"]
    show_list(searches, chosen)
    state = next((row["state"] for row in searches if row["search"] == chosen), "")
    title = next((row["name"] for row in searches if row["search"] == chosen), chosen)
    st.subheader(f"{literal(title)} :gray-badge[{literal(state or 'unknown')}]")
    live(LIVE_SECONDS if state == "running" else IDLE_SECONDS, search_card)(chosen, state)
