"""Workers as a table: where they are, what they train, how busy their machine is, when they were heard of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from app.phrases import ago, count, megabytes

NONE_YET = "No worker was ever heard of here: `bitfront up` starts them."
GONE = "gone"
"""The state of a worker that was not heard of for 15 seconds, whatever it said last."""


def alive_text(workers: Sequence[Mapping[str, Any]]) -> str:
    """ "3 alive", "1 alive, 2 gone"."""
    alive = sum(row["alive"] for row in workers)
    gone = len(workers) - alive
    return f"{alive} alive" + (f", {gone} {GONE}" if gone else "")


def worker_table(workers: Sequence[Mapping[str, Any]], now: datetime) -> pd.DataFrame:
    """The store's ``workers`` rows, one a line; of one that is gone nothing is said of what it does, and nobody's host
    where hosts are private."""
    table = pd.DataFrame(
        {
            "Worker": [row["worker"] for row in workers],
            "State": [row["state"] if row["alive"] else GONE for row in workers],
            "Device": [row["device"] for row in workers],
            "Current run": [row["current_run"] if row["alive"] else None for row in workers],
            "Load": pd.array([row["load"] if row["alive"] else None for row in workers], dtype="Float64"),
            "Memory": [megabytes(row["memory"]) if row["alive"] else "–" for row in workers],
            "Host": [row["host"] for row in workers],
            "Heard from": [ago(row["heard_at"], now) for row in workers],
        }
    )
    return table if any(row["host"] for row in workers) else table.drop(columns="Host")


def show_workers(workers: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Draw the table, or say that there is none and what to do."""
    if not workers:
        st.caption(NONE_YET)
        return
    st.dataframe(
        worker_table(workers, now),
        hide_index=True,
        placeholder="",
        height="content" if len(workers) <= 12 else 440,
        alt=f"{count(len(workers), 'worker')}, {alive_text(workers)}",
        column_config={
            "Load": st.column_config.NumberColumn(
                format="%.2f", help="Processes that run or wait for a core of its machine, mean over a minute."
            ),
            "Memory": st.column_config.TextColumn(help="Resident memory of the worker and what it trains."),
            "State": st.column_config.TextColumn(help="gone: not heard of for 15 seconds."),
        },
    )
