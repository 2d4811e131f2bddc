"""Search: looking for the scheme that costs least; its front, how right its cost model is, its winner to launch."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app import acts
from app.charts.layout import CONFIG
from app.connection import ask_rows
from app.downloads import show_downloads
from app.figure_export import Figure, show_figure_export
from app.live import live, redraw
from app.phrases import literal, sentence_case
from app.search_rows import (
    Told,
    progress,
    progress_text,
    search_table,
    spent_text,
    winner_figures,
    winner_parameters,
)
from app.searched import Searched, beside_text, charts_of, confirmation, others_like, read_searched
from app.share import show_heading, show_share
from engine.errors import BitfrontError

Row = Mapping[str, Any]

LIVE_SECONDS, IDLE_SECONDS = 2, 10


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


def show_list(rows: Sequence[Row], chosen: str) -> None:
    """Every search in a line; picking one puts it into the address."""
    shown = [row["search"] for row in rows]
    key = f"searches-{zlib.crc32(' '.join(shown).encode()):x}"
    st.dataframe(
        search_table(rows),
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


def show_progress(row: Row, trials: Sequence[Row]) -> None:
    done, asked = progress(trials)
    if row["state"] == "running":
        st.progress(done / max(asked, 1), text=literal(progress_text(row, trials)))
    if row["reason"]:
        st.error(literal(sentence_case(row["reason"])), icon=":material/search_off:", title="No winner")


def show_winner(row: Row, trials: Sequence[Row]) -> None:
    """The winning configuration as a text to copy or launch, with its confirmation."""
    figures = winner_figures(row)
    if not figures:
        return
    with st.container(border=True):
        st.markdown("**Winner**")
        st.code(json.loads(row["result"])["scheme"], language=None, wrap_lines=True)
        with st.grid(4, min_column_width=170):
            for each in figures:
                st.metric(each.title, each.text, each.beneath, delta_color="off", border=True, help=each.about)
        st.caption(literal(spent_text(row)))
        st.page_link(
            "views/launch.py",
            label="Launch this scheme",
            icon=":material/play_arrow:",
            query_params=winner_parameters(row, trials),
        )


def show_charts(found: Searched, others: list[Told]) -> None:
    drawn = charts_of(found, others)
    if not drawn:
        st.info("No candidate has been measured yet: the front appears with the first one.", icon=":material/tune:")
        return
    with st.grid(2, min_column_width=420):
        for name, chart in drawn.items():
            with st.container():
                st.markdown(f"**{chart.title}** {chart.about}")
                if chart.figure is None:
                    st.info(chart.instead, icon=":material/hourglass_top:")
                else:
                    st.plotly_chart(chart.figure, key=f"search-{name}", config=CONFIG, alt=chart.alt)
    if said := beside_text(found, others):
        st.caption(said)


def tables(rows: Sequence[Row], search: str) -> dict[str, pd.DataFrame]:
    """What is on the page, and what it is drawn from: the list, the chosen search's trials, its confirmation."""
    tables, found = {"Searches": search_table(rows)}, read_searched(search)
    if found is None:
        return tables
    confirmed = confirmation(found)
    return tables | {"Trials": found.table} | ({} if confirmed is None else {"Confirmation": confirmed})


def pictures(search: str) -> dict[str, Figure]:
    found = read_searched(search)
    drawn = charts_of(found, others_like(found)) if found else {}
    return {chart.title: chart.figure for chart in drawn.values() if chart.figure is not None}


def show_files(rows: Sequence[Row], search: str) -> None:
    found = read_searched(search)
    with st.container(horizontal=True):
        show_downloads(lambda: tables(rows, search), "search")
        if found is not None:
            show_figure_export(lambda: pictures(search), synthetic=found.synthetic)


def search_card(search: str, state: str) -> None:
    """The live part; draws the page again when the search ends."""
    found = read_searched(search)
    if found is None:
        st.info(f"There is no search {literal(search)} here.", icon=":material/search_off:")
        return
    row = found.row
    show_progress(row, found.trials)
    show_acts(row)
    show_winner(row, found.trials)
    show_charts(found, others_like(found))
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
    show_files(searches, chosen)
