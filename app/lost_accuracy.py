"""Where a run loses accuracy: its diagnostics by site, layer and in-degree, as charts and as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.charts.diagnostics import degree_chart, degree_verdict, site_chart
from app.charts.layout import CONFIG
from app.connection import ask_rows
from app.diagnosed import degrees, place
from app.live import live
from app.run_table import ENDED

LIVE_SECONDS = 5
NEWEST = "newest"


def show_lost_accuracy(row: Mapping[str, Any]) -> None:
    """Draw the section of a run (a row of the query ``run``), again and again while it trains."""
    st.markdown("**Where accuracy is lost**")
    every = None if row["state"] in ENDED else LIVE_SECONDS
    live(every, _section)(row["run"], row["scheme"], row["state"] in ENDED)


def _section(run: str, scheme: str, ended: bool) -> None:
    epochs = [found["epoch"] for found in ask_rows("diagnostic_epochs", run=run)]
    if not epochs:
        st.caption(_nothing(scheme, ended))
        return
    chosen = st.selectbox(
        "Epoch",
        [NEWEST, *map(str, reversed(epochs))],
        format_func=lambda text: f"newest ({epochs[-1]})" if text == NEWEST else text,
        key="lost-at",
        bind="query-params",
        width=160,
        help="The training step in which these were measured.",
    )
    epoch = epochs[-1] if chosen in (None, NEWEST) else int(chosen)
    rows = ask_rows("diagnostics", runs=run, epoch=epoch)
    if not rows:  # a newer attempt has just begun
        st.caption(_nothing(scheme, ended))
        return
    by_site, by_degree, as_table = st.tabs(["By site and layer", "By in-degree", "Table"])
    with by_site:
        st.plotly_chart(
            site_chart(rows, epoch=epoch),
            key=f"lost-sites-{run}",
            config=CONFIG,
            alt=f"Signal to quantization noise, saturation and zeroed gradients by site and layer, epoch {epoch}",
        )
        st.caption(
            "SQNR: signal to quantization noise; 6 dB are one bit. No bar: nothing was lost, or there was no signal. "
            "Saturated: values that the range cut short. Zeroed: gradients that became zero or were stopped."
        )
    with by_degree:
        if any(found["bucket"] is not None for found in rows):
            if verdict := degree_verdict(rows):
                st.markdown(verdict)
            st.plotly_chart(
                degree_chart(rows, epoch=epoch),
                key=f"lost-degrees-{run}",
                config=CONFIG,
                alt=f"Signal to quantization noise, saturation and zeroed gradients by in-degree, epoch {epoch}",
            )
            st.caption("Buckets of in-degree; an edge's values count for the node that they come from.")
        else:
            st.caption("Nothing that this scheme quantizes belongs to single nodes or edges.")
    with as_table:
        _table(rows)


def _nothing(scheme: str, ended: bool) -> str:
    if scheme == "fp32":
        return "Nothing is quantized in this run, so nothing is lost to quantization."
    if ended:
        return "This run recorded no diagnostics: it ended before the first ones, or was trained by an older Bitfront."
    return "The first diagnostics come with one of the first epochs."


def diagnostics_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows as people read them: shares in percent, the whole tensor before its buckets."""
    return pd.DataFrame(
        {
            "Layer": [row["layer"] for row in rows],
            "Site": [place(row) for row in rows],
            "Product": [row["product"] for row in rows],
            "Format": [row["format"] for row in rows],
            "In-degree": [degrees(row) for row in rows],
            "SQNR": pd.array([row["sqnr"] for row in rows], dtype="Float64"),
            "Saturated": pd.array([_percent(row["saturated"]) for row in rows], dtype="Float64"),
            "Zeroed": pd.array([_percent(row["zeroed"]) for row in rows], dtype="Float64"),
            "Accumulator": pd.array([row["accumulator_bits"] for row in rows], dtype="Float64"),
            "Elements": [row["elements"] for row in rows],
        }
    )


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _table(rows: Sequence[Mapping[str, Any]]) -> None:
    number = st.column_config.NumberColumn
    st.dataframe(
        diagnostics_table(rows),
        hide_index=True,
        alt="Diagnostics by layer, site and in-degree",
        column_config={
            "SQNR": number("SQNR (dB)", format="%.1f", help="Empty: no noise, or no signal."),
            "Saturated": number("Saturated (%)", format="%.2f", help="Values that the range cut short."),
            "Zeroed": number("Zeroed gradients (%)", format="%.2f"),
            "Accumulator": number(
                "Accumulator (bits)",
                format="%.0f",
                help="Signed bits that the largest partial sum of the product's integers needs (of a large product, of "
                "some of its rows, evenly spaced); empty: not integers.",
            ),
            "Elements": number(format="localized"),
        },
    )
