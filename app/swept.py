"""A sweep as the store has it now: for the page, for its files, for reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
import streamlit as st

from app.connection import ask_rows
from app.sweep_grid import OVER, Grid, budget_text, counts_text, left_text, make_grid
from app.sweep_rows import cell_table
from engine.errors import InputError
from engine.spec import RunSpec
from engine.sweep import MOST_RUNS, Sweep, expand

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Swept:
    """A sweep with its cells."""

    row: Row
    cells: Sequence[Row]
    plan: Sweep | None
    """None: an older Bitfront launched it, or it names what is not installed here."""

    @property
    def specs(self) -> tuple[RunSpec, ...]:
        """One run of each group."""
        return self.plan.cells if self.plan is not None else ()

    @cached_property
    def grid(self) -> Grid:
        return make_grid(self.cells, self.specs)

    @property
    def done(self) -> float:
        """Which share of what can be done is over, 0 to 1."""
        ended = sum(cell["state"] in OVER for cell in self.cells) - self.row["missing"]
        return ended / max(self.row["total"] - self.row["missing"], 1)

    def progress_text(self, workers: int) -> str:
        """How far it is, and when it will be done with so many workers."""
        return " · ".join(text for text in (counts_text(self.row), left_text(self.row, workers)) if text)

    @property
    def budget_text(self) -> str:
        return budget_text(self.row)

    def results(self) -> pd.DataFrame:
        """Each run of it with its result. Raises StoreUnavailable."""
        return cell_table(self.cells, ask_rows("runs", sweep=self.row["sweep"], limit=MOST_RUNS))


def workers_alive() -> int:
    return sum(row["alive"] for row in ask_rows("workers"))


def newest_sweep() -> str | None:
    """The id of the sweep that is shown where none is asked for."""
    rows = ask_rows("sweeps", limit=1)
    return rows[0]["sweep"] if rows else None


def read_swept(sweep: str) -> Swept | None:
    """None where there is no such sweep."""
    rows = ask_rows("sweeps", sweep=sweep)
    if not rows:
        return None
    return Swept(rows[0], ask_rows("sweep_cells", sweep=sweep), plan_of(rows[0]["plan"]))


@st.cache_resource(max_entries=20, show_spinner=False)  # thousands of runs, which nobody changes: never copied
def plan_of(table: str | None) -> Sweep | None:
    """The sweep that a launch's table gives; None where it names what is not installed here."""
    try:
        return expand(json.loads(table)) if table else None
    except InputError:
        return None
