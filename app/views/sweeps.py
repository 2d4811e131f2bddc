"""Sweeps: how far each is and when it will be done, its grid of cells, what failed; cancel it, or have it go on."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from app import acts
from app.clone import clone_parameters
from app.connection import ask_rows
from app.downloads import show_downloads
from app.launching.filling import sweep_link
from app.live import live, redraw
from app.phrases import count, literal, sentence_case
from app.share import show_heading, show_share
from app.sweep_grid import Grid
from app.sweep_rows import failures, grid_table, is_going, sweep_table
from app.swept import Swept, read_swept, workers_alive
from app.theme import faded
from engine.errors import BitfrontError
from engine.sweep import Sweep

Row = Mapping[str, Any]

LIVE_SECONDS, IDLE_SECONDS = 2, 10
MOST_LINKED = 40
"""Runs of a cell that a link names: as many as the Runs page draws."""

CELL_COLORS = {
    "finished": "#15803d",
    "running": "#1d6fd8",
    "cancelling": "#c2620c",
    "failed": "#c81e1e",
    "cancelled": "#a16207",
}
"""Background of a cell by what stands out in it; nothing has begun where there is none."""


def chosen_sweep(rows: Sequence[Row]) -> str | None:
    """The sweep in the address; without one, the newest."""
    asked = str(st.query_params.get("sweep", ""))
    return asked or (rows[0]["sweep"] if rows else None)


def show_empty() -> None:
    with st.container(border=True, horizontal_alignment="center"):
        st.subheader("No sweeps yet", text_alignment="center")
        st.caption(
            "A sweep is a launch of several runs: pick several schemes or seeds on the Launch page, or launch a file "
            "with `bitfront sweep FILE.toml`.",
            text_alignment="center",
        )
        st.page_link("views/launch.py", label="Launch", icon=":material/play_arrow:")


def wait_for_first() -> None:
    """Draw the page again once the store has heard of the first sweep, which was launched a moment ago."""
    if ask_rows("sweeps"):
        redraw()


def _picked(key: str, shown: list[str]) -> None:
    rows = st.session_state[key].selection.rows
    st.query_params.pop("cell", None)
    if rows and rows[0] < len(shown):
        st.query_params["sweep"] = shown[rows[0]]


def show_list(rows: Sequence[Row], chosen: str | None, workers: int) -> None:
    """Every sweep in a line; picking one puts it into the address."""
    shown = [row["sweep"] for row in rows]
    key = f"sweeps-{zlib.crc32(' '.join(shown).encode()):x}"  # other rows, other table: row numbers are its selection
    st.dataframe(
        sweep_table(rows, workers),
        key=key,
        hide_index=True,
        on_select=lambda: _picked(key, shown),
        selection_mode="single-row",
        selection_default={"selection": {"rows": [shown.index(chosen)] if chosen in shown else []}},
        height=min(38 + 35 * len(shown), 248),
        alt="Sweeps, newest first",
        column_config={
            "Progress": st.column_config.ProgressColumn(format="%d%%", min_value=0, max_value=100, width="small"),
            "Missing": st.column_config.NumberColumn(help="Cells that no run stands for: the budget allowed none."),
            "Worker hours": st.column_config.NumberColumn(
                format="%.2f", help="Time that workers have spent on what the sweep launched."
            ),
            "Launched": st.column_config.DatetimeColumn(format="distance"),
        },
    )


def _do(act: Callable[[], str]) -> None:
    """Carry out what a button asks for, and say how it went."""
    try:
        said = act()
    except BitfrontError as error:
        st.session_state["sweep_fault"] = str(error)
    else:
        st.session_state.pop("sweep_fault", None)
        st.toast(said)


def _cancel(sweep: str) -> str:
    return f"Asked to cancel {count(acts.cancel_sweep(sweep), 'run')}."


def _go_on(plan: Sweep, sweep: str) -> str:
    launched = acts.go_on_with_sweep(plan, sweep)
    return f"Launched {count(launched.launched, 'run')}; {launched.resumed} go on."


def show_acts(row: Row, plan: Sweep | None) -> None:
    """Cancel what goes on; launch what failed, was cancelled or is missing."""
    if acts.may_change():
        undone = row["failed"] + row["cancelled"] + row["missing"]
        with st.container(horizontal=True, gap="small"):
            if is_going(row):
                st.button(
                    f"Cancel {count(row['running'] + row['queued'], 'run')}",
                    icon=":material/cancel:",
                    key="cancel-sweep",
                    help="What this sweep launched; runs that were there before it go on.",
                    on_click=_do,
                    args=(partial(_cancel, row["sweep"]),),
                )
            if undone and plan is not None:
                st.button(
                    f"Go on with {count(undone, 'run')}",
                    icon=":material/resume:",
                    key="resume-sweep",
                    help="What failed or was cancelled goes on from its last checkpoint; what is missing is launched.",
                    on_click=_do,
                    args=(partial(_go_on, plan, row["sweep"]),),
                )
    elif why := acts.why_not():
        st.caption(f":material/lock: {sentence_case(why)}.")
    if fault := st.session_state.get("sweep_fault"):
        st.error(literal(fault), icon=":material/cloud_off:", title="Not done")


def cell_picked(key: str, grid: Grid) -> None:
    """Put the cell that was clicked into the address, as ``scheme|place``."""
    cells = st.session_state[key].selection.cells
    if not cells:
        st.query_params.pop("cell", None)
        return
    row, column = cells[0]
    scheme = grid.schemes[row]
    if (scheme, column) in grid.cells:
        st.query_params["cell"] = f"{scheme}|{column}"


def show_grid(grid: Grid) -> None:
    """Schemes down, places across; a click on a cell leads to its runs."""

    def background(column: pd.Series) -> list[str]:
        found = [grid.cells.get((scheme, str(column.name))) for scheme in grid.schemes]
        colors = [CELL_COLORS.get(cell.state) if cell else None for cell in found]
        return [f"background-color: {faded(color, 0.22)}" if color else "" for color in colors]

    key = f"grid-{zlib.crc32(' '.join([*grid.schemes, *grid.places]).encode()):x}"
    st.dataframe(
        grid_table(grid).style.apply(background, subset=list(grid.places)),
        key=key,
        hide_index=True,
        on_select=lambda: cell_picked(key, grid),
        selection_mode="single-cell",
        height=min(38 + 35 * len(grid.schemes), 738),
        alt="Cells of the sweep: finished runs of each scheme on each dataset and architecture",
        column_config={"Scheme": st.column_config.TextColumn(pinned=True, width=_width(["Scheme", *grid.schemes]))},
    )


def _width(texts: Sequence[str]) -> int:
    """Pixels in which the longest of them fits, but at most what leaves room for a column on a phone."""
    return min(16 + 8 * max(map(len, texts), default=0), 190)


def show_cell(found: Swept) -> None:
    """The cell in the address, with the way to its runs, and to launch them again."""
    scheme, _, place = str(st.query_params.get("cell", "")).rpartition("|")
    cell = found.grid.cells.get((scheme, place))
    if cell is None:
        st.caption("Pick a cell to see its runs.")
        return
    st.markdown(f"**{literal(scheme)}** on **{literal(place)}**: {literal(cell.text)}")
    if not cell.runs:
        return
    with st.container(horizontal=True):
        st.page_link(
            "views/runs.py",
            label=f"Watch {count(len(cell.runs), 'run')}",
            icon=":material/monitoring:",
            query_params={"sweep": found.row["sweep"], "run": ",".join(cell.runs[:MOST_LINKED])},
        )
        groups = dict.fromkeys(row["group_id"] for row in found.cells if row["run"] in cell.runs)
        specs = [spec for spec in found.specs if spec.group in groups]
        if len(specs) == 1:
            seeds = sorted({row["seed"] for row in found.cells if row["group_id"] == specs[0].group})
            st.page_link(
                "views/launch.py",
                label="Clone this group",
                icon=":material/content_copy:",
                query_params=clone_parameters(specs[0].model_dump(mode="json"), seeds, cell.runs[0]),
            )


def show_failures(cells: Sequence[Row]) -> None:
    """Why runs have failed, each reason once."""
    for reason, how_many in failures(cells).items():
        st.error(literal(reason), title=how_many, icon=":material/error:")


def tables(rows: Sequence[Row], sweep: str | None) -> dict[str, pd.DataFrame]:
    """What is on the page, and what it is made of: the list, the chosen sweep's grid, its runs with their results."""
    tables, found = {"Sweeps": sweep_table(rows, workers_alive())}, read_swept(sweep) if sweep else None
    return tables if found is None else tables | {"Grid": grid_table(found.grid), "Runs": found.results()}


def sweep_card(sweep: str, going: bool) -> None:
    """The live part: progress, what can be done, the grid; draws the page again when the sweep begins or ends."""
    found = read_swept(sweep)
    if found is None:
        st.info(f"There is no sweep {literal(sweep)} here.", icon=":material/search_off:")
        return
    st.progress(found.done, text=literal(found.progress_text(workers_alive())))
    if found.budget_text:
        st.caption(f":material/savings: {literal(found.budget_text)}")
    show_acts(found.row, found.plan)
    if found.plan is not None:
        st.page_link(
            "views/launch.py",
            label="Clone this sweep",
            icon=":material/content_copy:",
            query_params=sweep_link(found.plan.table, sweep),
        )
    show_grid(found.grid)
    show_cell(found)
    show_failures(found.cells)
    if is_going(found.row) != going:
        redraw()


with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.title("Sweeps", width="content")
    show_share("sweeps")
show_heading()
sweeps = ask_rows("sweeps")
if not sweeps:
    show_empty()
    live(LIVE_SECONDS, wait_for_first)()
else:
    chosen = chosen_sweep(sweeps)
    show_list(sweeps, chosen, workers_alive())
    if chosen is not None:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.subheader(literal(chosen), width="content")
            st.page_link(
                "views/runs.py", label="All runs", icon=":material/monitoring:", query_params={"sweep": chosen}
            )
        going = any(is_going(row) for row in ask_rows("sweeps", sweep=chosen))  # it may be older than those listed
        live(LIVE_SECONDS if going else IDLE_SECONDS, sweep_card)(chosen, going)
    show_downloads(lambda: tables(sweeps, chosen), "sweeps")
