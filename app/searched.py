"""A search as the store has it now, beside those like it: for the page, for its files, for reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.charts.searching import granularity_chart, predicted_chart, saving_chart, search_front
from app.connection import ask_rows, is_public
from app.phrases import count
from app.search_rows import OVER, Told, alike, of_one_goal, told, trial_table

Row = Mapping[str, Any]

MOST_COMPARED = 8
"""Searches of one dataset, task and architecture that are drawn side by side."""


@dataclass(frozen=True)
class Searched:
    """A search with its trials."""

    row: Row
    trials: Sequence[Row]
    told: Told
    provenance: str | None
    """Of its fp32 run (JSON), which names the graph's size; None before that has begun."""
    synthetic: bool
    """Whether it trains on generated data."""

    @property
    def result(self) -> dict[str, Any]:
        """What it has found; empty while it goes on."""
        return json.loads(self.row["result"] or "{}")

    @property
    def is_over(self) -> bool:
        return self.row["state"] in OVER

    @property
    def table(self) -> pd.DataFrame:
        """Its trials; the column ``synthetic`` says of each whether its data is generated."""
        return trial_table(self.row, self.trials, self.told, self.provenance).assign(synthetic=self.synthetic)


def read_searched(search: str) -> Searched | None:
    """None where there is no such search."""
    return _read(search, is_public())


@st.cache_data(max_entries=64, ttl=2, show_spinner=False)
def _read(search: str, public: bool) -> Searched | None:
    rows = ask_rows("searches", search=search)
    if not rows:
        return None
    trials = ask_rows("trials", search=search)
    reference = ask_rows("run", run=trials[0]["run"]) if trials else []
    provenance = reference[0]["provenance"] if reference else None
    synthetic = bool(reference and reference[0]["synthetic"])
    return Searched(rows[0], trials, told(rows[0], trials, provenance), provenance, synthetic)


def newest_search() -> str | None:
    """The id of the search that is shown where none is asked for."""
    rows = ask_rows("searches", limit=1)
    return rows[0]["search"] if rows else None


def others_like(found: Searched) -> list[Told]:
    """The searches that are drawn beside it."""
    like = alike(found.row, ask_rows("searches"))[1:MOST_COMPARED]
    return [other.told for each in like if (other := read_searched(each["search"]))]


def confirmation(found: Searched) -> pd.DataFrame | None:
    """The test of the winner and of fp32, seed by seed; None before the search is over, which chooses without it."""
    rows = ask_rows("confirmation", search=found.row["search"]) if found.is_over else []
    if not rows:
        return None
    return pd.DataFrame(
        {
            "Seed": [row["seed"] for row in rows],
            "Test of the winner": pd.array([row["winner"] for row in rows], dtype="Float64"),
            "Test of fp32": pd.array([row["fp32"] for row in rows], dtype="Float64"),
            "Unit": found.told.unit,
        }
    )


@dataclass(frozen=True)
class SearchChart:
    """One of a search's charts."""

    title: str
    about: str
    """What follows the title."""
    alt: str
    figure: go.Figure | None
    instead: str = ""
    """What is said where there is no figure yet."""


def charts_of(found: Searched, others: Sequence[Told]) -> dict[str, SearchChart]:
    """The charts that there are, by a short name; none before a candidate has been measured."""
    mine, winner = found.told, found.result.get("scheme") or ""
    if not mine.candidates:
        return {}
    every = [mine, *others]
    same = of_one_goal(every)
    charts = {
        "front": SearchChart(
            "Front",
            "of what was measured",
            f"Validation {mine.metric} of what was measured by saving",
            search_front(mine, winner=winner),
        )
    }
    if any(each.predicted is not None for each in mine.candidates):
        title = "Measured against predicted"
        charts["predicted"] = SearchChart(
            title, "by the cost model", f"{title} by the cost model", predicted_chart(mine)
        )
    charts["granularity"] = SearchChart(
        "Error against cost", "by granularity", "Least error by cost, a line a granularity", granularity_chart(every)
    )
    if mine.fp32_cost is not None:
        is_met = any(best is not None for each in same for best in each.best_savings[-1:])
        charts["saving"] = SearchChart(
            "Best saving",
            "by measured configurations",
            "Best saving by the number of measured configurations",
            saving_chart(same) if is_met else None,
            "No configuration keeps the goal so far.",
        )
    return charts


def beside_text(found: Searched, others: Sequence[Told]) -> str:
    """How many other searches are drawn, and where not all of them; empty where there is none."""
    if not others:
        return ""
    fewer = len(of_one_goal([found.told, *others])) <= len(others)
    left_out = "; savings of those with this goal only" if fewer else ""
    return (
        f"With {count(len(others), 'other search', 'other searches')} of this dataset, task and architecture{left_out}."
    )
