"""Runs as people read them: a table's columns, a run's name, what is left to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from app.phrases import ago, duration

ENDED = frozenset({"finished", "failed", "cancelled"})
"""States that a run does not leave."""

MOST_ROWS = 200
"""Rows of the table."""


def run_label(row: Mapping[str, Any]) -> str:
    """ "int8 · seed 0": a run's name on charts where dataset and architecture are clear."""
    return f"{row['scheme']} · seed {row['seed']}"


def dataset_label(dataset: str, synthetic: bool) -> str:
    """The dataset's name; generated data says so."""
    return f"{dataset} (synthetic)" if synthetic else dataset


def progress_text(row: Mapping[str, Any]) -> str:
    """ "120 of 150 · 3 s left", "next", "4th in the queue"…"""
    if row["state"] == "queued":
        position = row["queue_position"]
        return (
            "" if pd.isna(position) else "next in the queue" if position == 1 else f"place {int(position)} in the queue"
        )
    done = f"{int(row['epoch'])} of {int(row['total_epochs'])}" if pd.notna(row["total_epochs"]) else ""
    left = duration(row["seconds_left"]) if row["state"] == "running" and pd.notna(row["seconds_left"]) else ""
    return f"{done} · {left} left" if left else done


def run_table(runs: pd.DataFrame, now: pd.Timestamp) -> pd.DataFrame:
    """The store's ``runs`` rows as the table on the Runs page; same order, same length."""
    ended = runs["state"].isin(ENDED)
    return pd.DataFrame(
        {
            "State": [[state] for state in runs["state"]],
            "Scheme": runs["scheme"],
            "Seed": runs["seed"],
            "Dataset": [
                dataset_label(name, bool(made)) for name, made in zip(runs["dataset"], runs["synthetic"], strict=True)
            ],
            "Architecture": runs["model"],
            "Progress": (runs["epoch"] / runs["total_epochs"]).clip(0, 1).astype(float),
            "Epochs": [progress_text(row) for row in runs.to_dict("records")],
            "Validation": runs["best_val"].astype(float),
            "Test": runs["test_at_best_val"].astype(float),
            "Heard from": [
                "" if done else ago(heard, now) for done, heard in zip(ended, runs["heard_at"], strict=True)
            ],
            "Submitted": runs["submitted_at"],
            "Worker": runs["worker"],
            "Sweep": runs["sweep"],
            "Name": runs["name"],
        }
    )
