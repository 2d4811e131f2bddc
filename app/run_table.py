"""Runs as people read them: a table's columns, a run's name, what is left to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pandas as pd

from app.phrases import ago, duration
from app.theme import STATE_COLORS

SILENT = "silent"
"""What stands beside the state of a run that has not been heard from for 15 seconds: its worker may be gone."""
ENDED = frozenset({"finished", "failed", "cancelled"})
"""States that a run does not leave."""

MOST_ROWS = 200
"""Rows of the table."""


def run_label(row: Mapping[str, Any]) -> str:
    """ "int8 · seed 0", perhaps "· fold 3": a run's name on charts where dataset and architecture are clear."""
    fold = row.get("fold")
    return f"{row['scheme']} · seed {row['seed']}" + ("" if fold is None else f" · fold {fold}")


def run_names(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A name for each of these runs that no other of them has: with the end of its id where labels are equal."""
    seen = Counter(run_label(row) for row in rows)
    return {
        row["run"]: label if seen[label] == 1 else f"{label} · {row['run'][-5:]}"
        for row in rows
        for label in (run_label(row),)
    }


def state_badge(state: str, n: int | None = None) -> str:
    """A state as a coloured chip, in Streamlit's Markdown, with a number where one is given."""
    return f":{STATE_COLORS.get(state, 'gray')}-badge[{state if n is None else f'{n} {state}'}]"


def dataset_label(dataset: str, synthetic: bool) -> str:
    """The dataset's name; generated data says so."""
    return f"{dataset} (synthetic)" if synthetic else dataset


def progress_text(row: Mapping[str, Any]) -> str:
    """ "120 of 150 · 3 s left", "next", "4th in the queue"…"""
    if row["state"] == "queued":
        position = row["queue_position"]
        return "" if position is None else "next in the queue" if position == 1 else f"place {position} in the queue"
    done = f"{row['epoch']} of {row['total_epochs']}" if row["total_epochs"] else ""
    left = duration(row["seconds_left"]) if row["state"] == "running" else ""
    return f"{done} · {left} left" if left else done


def run_table(runs: Sequence[Mapping[str, Any]], now: datetime) -> pd.DataFrame:
    """The store's ``runs`` rows as the table on the Runs page; same order, same length."""
    return pd.DataFrame(
        {
            "State": [[row["state"], SILENT] if row["is_silent"] else [row["state"]] for row in runs],
            "Scheme": [row["scheme"] for row in runs],
            "Seed": [row["seed"] for row in runs],
            "Fold": pd.array([row["fold"] for row in runs], dtype="Int64"),
            "Dataset": [dataset_label(row["dataset"], row["synthetic"]) for row in runs],
            "Architecture": [row["model"] for row in runs],
            "Progress": [100 * share_done(row) for row in runs],
            "Epochs": [progress_text(row) for row in runs],
            "Validation": pd.array([row["best_val"] for row in runs], dtype="Float64"),
            "Test": pd.array([row["test_at_best_val"] for row in runs], dtype="Float64"),
            "Heard from": ["" if row["state"] in ENDED else ago(row["heard_at"], now) for row in runs],
            "Submitted": [row["submitted_at"] for row in runs],
            "Worker": [row["worker"] for row in runs],
            "Sweep": [row["sweep"] for row in runs],
            "Name": [row["name"] for row in runs],
        }
    )


def can_resume(row: Mapping[str, Any]) -> bool:
    """Whether a run may go on: a worker's, that was cancelled or has failed."""
    return row["state"] in ("cancelled", "failed") and row["origin"] == "queue"


def share_done(row: Mapping[str, Any]) -> float:
    """Epochs done as a share of all, 0 to 1."""
    return min(1.0, row["epoch"] / row["total_epochs"]) if row["total_epochs"] else 0.0
