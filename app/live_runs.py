"""The chosen runs while they go: their table, and curves of loss, bits and metric, overlaid where there are several."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa
import streamlit as st

from app.charts.learning import LOG_AXES, SPLITS
from app.connection import ask, ask_rows
from app.curves import EpochBuffer, read_epochs
from app.live import live, redraw
from app.live_chart import live_chart
from app.live_points import LivePoints
from app.live_table import live_table
from app.phrases import literal, sentence_case
from app.replay_panel import show_replay
from app.run_curves import MOST_SMOOTH, Drawing, curve_of, figures_of, metric_of
from app.run_table import ENDED, run_label, run_names
from app.theme import scheme_shades

Row = dict[str, Any]  # a run as the store's query `runs` gives it

LIVE_SECONDS = 1


def is_over(runs: Sequence[Row], chosen: Sequence[str]) -> bool:
    """Whether every chosen run has ended (one that the store has not heard of yet has not)."""
    return len(runs) == len(chosen) and all(row["state"] in ENDED for row in runs)


def show_live_runs(chosen: list[str]) -> tuple[list[Row], Drawing]:
    """Draw the section of these runs, again each second until all have ended; gives them as they are, and how they are
    drawn."""
    runs = ask_rows("runs", runs=chosen, limit=len(chosen))
    active = not is_over(runs, chosen)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.subheader("Learning curves", width="content")
        drawing = _choose_drawing(several=len(chosen) > 1)
    live(LIVE_SECONDS if active else None, _section)(chosen, drawing, active)
    return runs, drawing


def _choose_drawing(*, several: bool) -> Drawing:
    """Which splits to draw (all of them for one run, validation for several, unless asked otherwise), and how."""
    default = ["val"] if several else list(SPLITS)
    splits = st.pills(
        "Splits",
        list(SPLITS),
        format_func=SPLITS.__getitem__,
        selection_mode="multi",
        default=default,
        key="splits" if several else "split",
        bind="query-params",
        label_visibility="collapsed",
    )
    with st.popover("Axes and smoothing", icon=":material/tune:", width="content"):
        log = st.pills(
            "Logarithmic axes",
            list(LOG_AXES),
            format_func=LOG_AXES.__getitem__,
            selection_mode="multi",
            key="log_axes",
            bind="query-params",
        )
        smoothing = st.slider(
            "Smoothing",
            0.0,
            MOST_SMOOTH,
            0.0,
            0.02,
            key="smooth",
            bind="query-params",
            help="Weight of the past in an exponential moving average, without the bias of its beginning: "
            "$s_t = w s_{t-1} + (1 - w) y_t$, shown as $s_t / (1 - w^t)$. What was measured stays behind it, pale.",
        )
    return Drawing(tuple(splits or default), frozenset(log or ()), float(smoothing))


def _section(chosen: list[str], drawing: Drawing, active: bool) -> None:
    """The live part: read what is new, and hand it on."""
    runs = ask_rows("runs", runs=chosen, limit=len(chosen))
    order = {run: index for index, run in enumerate(chosen)}
    runs.sort(key=lambda row: order[row["run"]])
    buffer = st.session_state.setdefault("epochs", EpochBuffer())
    epochs = buffer.update(runs, read_epochs(ask))
    for row in (row for row in runs if row["state"] == "failed"):
        st.error(literal(row["reason"]), title=f"{literal(run_label(row))} failed", icon=":material/error:")
    if not runs:
        st.caption("The store has no such run (yet).")
    else:
        _show(runs, epochs, drawing)
        if not epochs:
            st.caption("No epoch yet: the curves begin with the first one.")
    if active and is_over(runs, chosen):
        redraw()


def _show(runs: list[Row], epochs: Mapping[str, pa.Table], drawing: Drawing) -> None:
    names = run_names(runs)
    ids = [row["run"] for row in runs]
    alone = runs[0] if len(runs) == 1 and epochs else None
    switches = ask_rows("switches", runs=ids)
    formats = ask_rows("precision", runs=ids) if alone else []
    curves = [curve_of(row, names[row["run"]]) for row in runs]
    place = st.container()
    replayed = show_replay(alone, epochs[alone["run"]]) if alone else None
    metric, unit = metric_of(runs)
    about = ", ".join(curve.label for curve in curves[:4])

    def draw() -> list[go.Figure]:
        return figures_of(epochs, curves, drawing, switches, formats, replayed, metric, unit) if epochs else []

    # Of a run that is alone there is little to draw, and more of it that grows.
    last = {run: rows["epoch"][-1].as_py() for run, rows in epochs.items()}
    grown: Hashable = repr((last, formats, replayed)) if alone else _outline(epochs, switches, last)
    shape = (drawing, tuple(curves), metric, unit, tuple(map(repr, switches)), grown)
    points = st.session_state.setdefault("live-points", LivePoints())
    message = points.message(epochs, {row["run"]: (row["attempt"], row["state"] in ENDED) for row in runs}, shape, draw)
    with place:
        live_chart(
            message,
            live_table(runs, names, scheme_shades(row["scheme"] for row in runs), datetime.now(UTC)),
            [f"Loss and bits by epoch: {about}", f"{sentence_case(metric)} by epoch: {about}"],
            "live-runs",
            smoothing=drawing.smoothing,
            on_behind=points.begin_anew,
        )


def _outline(epochs: Mapping[str, pa.Table], switches: Sequence[Row], last: Mapping[str, int]) -> Hashable:
    """What a chart of several runs shows of their epochs besides points: which columns there are, which switches have
    come to pass, and how high the bits go."""
    come = sum(row["epoch"] <= last.get(row["run"], 0) for row in switches)
    columns = tuple(
        (run, tuple(column.null_count == len(column) for column in rows.columns)) for run, rows in epochs.items()
    )
    bits = (bits for rows in epochs.values() for bits in rows["average_bits"].to_pylist() if bits is not None)
    return columns, come, math.ceil(2 * max(bits, default=0))
