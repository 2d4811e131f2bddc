"""The precision of a run as tables: what was decided when and why, and the format of each site and layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from app.connection import ask_rows
from app.live import live
from app.run_table import ENDED

LIVE_SECONDS = 5


def show_precision(row: Mapping[str, Any]) -> None:
    """Draw the section of a run (a row of the query ``run``) whose precision changes; nothing for any other."""
    every = None if row["state"] in ENDED else LIVE_SECONDS
    live(every, _section)(row["run"], row["epoch"])


def _section(run: str, last: int) -> None:
    decisions = ask_rows("switches", runs=run)
    if len(decisions) < 2:
        return
    st.markdown("**Precision by epoch**")
    by_decision, by_site = st.tabs(["Decisions", "Formats by site and layer"])
    number = st.column_config.NumberColumn
    with by_decision:
        st.dataframe(
            decision_table(decisions, last),
            hide_index=True,
            placeholder="",
            alt="Decisions about the precision, by epoch",
            column_config={
                "Epochs": st.column_config.TextColumn(pinned=True, width="small"),
                "Value": number(format="%.4g", width="small", help="Of the signal, at the decision."),
                "Threshold": number(format="%.4g", width="small", help="What the value was compared with."),
                "Why": st.column_config.TextColumn(width="large"),
            },
        )
    with by_site:
        st.dataframe(
            format_table(ask_rows("precision", runs=run)),
            hide_index=True,
            alt="Formats by site, layer and product, from which epoch on",
            column_config={"From epoch": number(pinned=True, width="small")},
        )


def decision_table(decisions: Sequence[Mapping[str, Any]], last: int) -> pd.DataFrame:
    """The store's ``switches`` of one run; each holds until the next one, the newest until epoch ``last`` at least."""
    starts = [row["epoch"] for row in decisions]
    ends = [*(start - 1 for start in starts[1:]), max(last, starts[-1])]
    return pd.DataFrame(
        {
            "Epochs": [
                f"{first}–{end}" if end > first else f"{first}" for first, end in zip(starts, ends, strict=True)
            ],
            "Precision": [row["label"] for row in decisions],
            "Signal": [row["signal"] for row in decisions],
            "Value": pd.array([row["value"] for row in decisions], dtype="Float64"),
            "Threshold": pd.array([row["threshold"] for row in decisions], dtype="Float64"),
            "Why": [row["reason"] for row in decisions],
        }
    )


def format_table(formats: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The store's ``precision`` rows that name a site."""
    rows = [row for row in formats if row["site"]]
    names = {"From epoch": "epoch", "Layer": "layer", "Site": "site", "Product": "product", "Format": "format"}
    return pd.DataFrame({title: [row[name] for row in rows] for title, name in names.items()})
