"""Runs: the queue, each run's progress, live curves of the chosen ones, details, workers."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from app import acts
from app.caveats import show_caveats
from app.connection import ask_frame, ask_rows, store_health
from app.downloads import show_downloads
from app.figure_export import Figure, show_figure_export
from app.live import live, redraw
from app.live_runs import show_live_runs
from app.phrases import count, literal
from app.run_curves import MOST_CURVES, Drawing, curve_figures
from app.run_details import show_details
from app.run_table import (
    ENDED,
    MOST_ROWS,
    SILENT,
    can_resume,
    run_names,
    run_table,
    state_badge,
)
from app.share import show_heading, show_share
from app.theme import STATE_COLORS
from app.worker_table import alive_text, show_workers
from engine.errors import BitfrontError

Row = dict[str, Any]  # a run as the store's query `runs` gives it

QUEUE_SECONDS, IDLE_SECONDS = 2, 10


def chosen_runs() -> list[str]:
    """The run ids in the address."""
    return [run for run in str(st.query_params.get("run", "")).split(",") if run]


def choose_runs(runs: list[str]) -> None:
    if runs:
        st.query_params["run"] = ",".join(runs)
    else:
        st.query_params.pop("run", None)


def filters() -> dict[str, str]:
    sweeps = [row["value"] for row in ask_rows("facets") if row["kind"] == "sweep"]
    with st.container(horizontal=True, vertical_alignment="top"):
        states = st.pills("State", list(STATE_COLORS), selection_mode="multi", key="state", bind="query-params")
        sweep = st.selectbox(
            "Sweep",
            sweeps,
            index=None,
            key="sweep",
            bind="query-params",
            accept_new_options=True,
            placeholder="All",
            width=260,
        )
        search = st.text_input(
            "Search",
            key="find",
            bind="query-params",
            type="search",
            live="300ms",
            placeholder="scheme, dataset, name, tag, id",
            width=260,
        )
    return {"states": ",".join(states or []), "sweep": sweep or "", "search": search or ""}


def show_trouble() -> None:
    """What the store does not take, or the queue does not give, now; gone as soon as that is over."""
    health = store_health()
    if health["trouble"]:
        st.warning(
            f"What happens now is not remembered yet: {literal(health['trouble'])}.", icon=":material/sync_problem:"
        )


def count_states() -> dict[str, int]:
    return {row["state"]: row["n"] for row in ask_rows("counts")}


def is_busy(counts: dict[str, int]) -> bool:
    """Whether some run has not ended."""
    return any(n for state, n in counts.items() if state not in ENDED)


def show_counts(counts: dict[str, int]) -> None:
    if counts:
        st.markdown(" ".join(state_badge(state, counts[state]) for state in STATE_COLORS if counts.get(state)))


def show_empty(asked: dict[str, str]) -> None:
    if any(asked.values()):
        st.info("No run fits these filters.", icon=":material/filter_alt_off:")
        return
    with st.container(border=True, horizontal_alignment="center"):
        st.subheader("No runs yet", text_alignment="center")
        st.caption("Launch one and watch it learn here.", text_alignment="center")
        st.page_link("views/launch.py", label="Launch a run", icon=":material/play_arrow:")


def _table_changed(key: str, shown: list[str]) -> None:
    """Put the rows picked in the table into the address; chosen runs that are not in the table stay."""
    picked = [shown[index] for index in st.session_state[key].selection.rows if index < len(shown)]
    choose_runs([run for run in chosen_runs() if run not in shown] + picked)


def show_table(runs: list[Row]) -> None:
    shown = [row["run"] for row in runs]
    chosen = set(chosen_runs())
    key = f"runs-{zlib.crc32(' '.join(shown).encode()):x}"  # other rows, other table: row numbers are its selection
    table = run_table(runs, datetime.now(UTC))
    st.dataframe(
        table,
        key=key,
        hide_index=True,
        placeholder="",
        on_select=lambda: _table_changed(key, shown),
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [index for index, run in enumerate(shown) if run in chosen]}},
        height=min(38 + 35 * len(shown), 388),
        alt="Runs, newest first",
        column_order=[name for name in table.columns if name != "Fold" or any(row["fold"] is not None for row in runs)],
        column_config={
            "State": st.column_config.MultiselectColumn(
                options=[*STATE_COLORS, SILENT],
                color=[*STATE_COLORS.values(), "orange"],
                width=96 if not any(row["is_silent"] for row in runs) else 150,
                help="silent: not heard from for 15 seconds. A run whose worker is gone goes on with another one.",
            ),
            "Heard from": st.column_config.TextColumn(help="When the run's worker last said something.", width="small"),
            "Scheme": st.column_config.TextColumn(width="small"),
            "Seed": st.column_config.NumberColumn(width=50),
            "Fold": st.column_config.NumberColumn(width=50, help="The part of a cross-validation that tests, from 0."),
            "Dataset": st.column_config.TextColumn(width="small"),
            "Architecture": st.column_config.TextColumn(width="small"),
            "Progress": st.column_config.ProgressColumn(format="%d%%", min_value=0, max_value=100, width="small"),
            "Validation": st.column_config.NumberColumn(
                "Best val.", format="%.4g", help="Best validation metric so far, in the task's unit.", width="small"
            ),
            "Test": st.column_config.NumberColumn(
                "Test at best val.", format="%.4g", help="Test metric at best validation, in the task's unit."
            ),
            "Submitted": st.column_config.DatetimeColumn(format="distance"),
        },
    )
    if len(shown) == MOST_ROWS:
        st.caption(f"The newest {MOST_ROWS} runs that fit; narrow the filters to see others.")


def _do(act: Callable[[], object], said: str, fault: str) -> None:
    """Carry out what a button asks for, and say how it went."""
    try:
        act()
    except BitfrontError as error:
        st.session_state["act_fault"] = (fault, str(error))
    else:
        st.session_state.pop("act_fault", None)
        st.toast(said)


def show_acts(runs: list[Row], counts: dict[str, int]) -> None:
    """Buttons that cancel or resume the chosen runs, or cancel all that go on, here or not."""
    if not acts.may_change():
        return
    chosen = set(chosen_runs())
    going = [row["run"] for row in runs if row["state"] in ("queued", "running") and row["run"] in chosen]
    over = {row["run"]: row["attempt"] for row in runs if row["run"] in chosen and can_resume(row)}
    unfinished = counts.get("queued", 0) + counts.get("running", 0)
    with st.container(horizontal=True, gap="small"):
        if going:
            st.button(
                f"Cancel {count(len(going), 'chosen run')}",
                icon=":material/cancel:",
                key="cancel-chosen",
                on_click=_do,
                args=(partial(acts.cancel, going), f"Asked to cancel {count(len(going), 'run')}.", "Not cancelled"),
            )
        if over:
            st.button(
                f"Resume {count(len(over), 'chosen run')}",
                icon=":material/resume:",
                key="resume-chosen",
                help="Each goes on from its last checkpoint, bit for bit, or from its beginning where none is left.",
                on_click=_do,
                args=(partial(acts.resume, over), f"Asked to resume {count(len(over), 'run')}.", "Not resumed"),
            )
        if unfinished:
            with st.popover(f"Cancel all {unfinished} unfinished", icon=":material/playlist_remove:"):
                st.write(f"{count(unfinished, 'run')}, queued or running, in this table or not. They can be resumed.")
                st.button(
                    "Cancel them",
                    type="primary",
                    key="cancel-all",
                    on_click=_do,
                    args=(acts.cancel_all, "Asked to cancel all runs.", "Not cancelled"),
                )
    if found := st.session_state.get("act_fault"):
        fault, why = found
        st.error(literal(why), icon=":material/cloud_off:", title=fault)


def queue(asked: dict[str, str], drawn_for: list[str], busy: bool) -> None:
    """The table with its numbers; draws the page again where others are chosen, or the last run has ended."""
    counts = count_states()
    runs = ask_rows("runs", limit=MOST_ROWS, **asked)
    show_trouble()
    show_counts(counts)
    if runs:
        show_table(runs)
        show_acts(runs, counts)
    else:
        show_empty(asked)
    if chosen_runs() != drawn_for or is_busy(counts) != busy:
        redraw()


def workers() -> None:
    found = ask_rows("workers")
    label = f"Workers ({alive_text(found)})"
    place = st.expander(label, icon=":material/memory:", key="workers", on_change="rerun", bind="query-params")
    if place.open:
        with place:
            show_workers(found, datetime.now(UTC))


def show_chosen(chosen: list[str]) -> tuple[list[Row], Drawing]:
    """Curves and details of the chosen runs; gives them as they are, and how they are drawn."""
    runs, drawing = show_live_runs(chosen)
    if len(chosen) > 1:  # of a single one the details say it
        show_caveats(row["caveat"] for row in runs)
    focus = chosen[0]
    if len(chosen) > 1:
        names = run_names(runs)
        focus = str(
            st.selectbox(
                "Details of",
                chosen,
                format_func=lambda run: str(names.get(run, run)),
                key="focus",
                bind="query-params",
                width=320,
            )
            or chosen[0]
        )
    show_details(focus)
    return runs, drawing


def pictures(chosen: list[str], drawing: Drawing) -> dict[str, Figure]:
    """The learning curves as they are drawn now."""
    runs = ask_rows("runs", runs=chosen, limit=len(chosen))
    return dict(curve_figures(sorted(runs, key=lambda row: chosen.index(row["run"])), drawing))


def tables(asked: dict[str, str], chosen: list[str]) -> dict[str, pd.DataFrame]:
    """What is on the page: the table's runs, the epochs of the chosen ones."""
    found = {"Runs": ask_frame("runs", limit=MOST_ROWS, **asked)}
    return found | ({"Epochs": ask_frame("epochs", runs=chosen)} if chosen else {})


with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Runs", width="content")
    show_share("runs")
show_heading()
asked = filters()
chosen = chosen_runs()
busy = is_busy(count_states())
poll = QUEUE_SECONDS if busy else IDLE_SECONDS
live(poll, queue)(asked, chosen, busy)
drawn = chosen[:MOST_CURVES]
shown = show_chosen(drawn) if drawn else None
with st.container(horizontal=True):
    show_downloads(lambda: tables(asked, drawn), "runs")
    if shown is not None:
        runs, drawing = shown
        show_figure_export(lambda: pictures(drawn, drawing), synthetic=any(row["synthetic"] for row in runs))
live(poll, workers)()
