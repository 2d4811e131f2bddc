"""What the Sweeps page shows, as tables, from the store's rows: the list of sweeps, a sweep's runs cell by cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from app.phrases import count, duration
from app.sweep_grid import Grid, shared_time

Row = Mapping[str, Any]


def is_going(row: Row) -> bool:
    """Whether some run of a sweep has not ended."""
    return row["running"] + row["queued"] > 0


def sweep_table(rows: Sequence[Row], workers: int) -> pd.DataFrame:
    """The store's ``sweeps`` rows, one a line; ``workers``: how many are alive to share what is left."""
    ended = [row["finished"] + row["failed"] + row["cancelled"] for row in rows]
    return pd.DataFrame(
        {
            "Sweep": [row["sweep"] for row in rows],
            "Progress": [100 * n / row["total"] for n, row in zip(ended, rows, strict=True)],
            "Runs": [row["total"] for row in rows],
            "Finished": [row["finished"] for row in rows],
            "Going": [row["running"] + row["queued"] for row in rows],
            "Failed": [row["failed"] for row in rows],
            "Cancelled": [row["cancelled"] for row in rows],
            "Missing": [row["missing"] for row in rows],
            "Time left": [_left(row, workers) for row in rows],
            "Worker hours": [row["hours"] for row in rows],
            "Launched": [row["first_submitted"] for row in rows],
        }
    )


def _left(row: Row, workers: int) -> str:
    if not is_going(row):
        return ""
    if row["seconds_left"] is None:
        return "unknown"
    time = duration(shared_time(row["seconds_left"], workers, row["running"] + row["queued"]))
    return time if workers else f"{time}, no worker"


def grid_table(grid: Grid) -> pd.DataFrame:
    """Schemes down, places across, how far each cell is in words; nothing where a scheme is not trained."""
    texts = {
        place: [grid.cells[scheme, place].text if (scheme, place) in grid.cells else "" for scheme in grid.schemes]
        for place in grid.places
    }
    return pd.DataFrame({"Scheme": grid.schemes, **texts})


def cell_table(cells: Sequence[Row], runs: Sequence[Row]) -> pd.DataFrame:
    """A sweep's ``sweep_cells``, one a line, each with the result of the run that stands for it (of ``runs``)."""
    found = {row["run"]: row for row in runs}

    def results(name: str) -> list[Any]:
        return [found.get(cell["run"], {}).get(name) for cell in cells]

    return pd.DataFrame(
        {
            "Scheme": [cell["scheme"] for cell in cells],
            "Dataset": [cell["dataset"] for cell in cells],
            "Architecture": [cell["model"] for cell in cells],
            "Seed": [cell["seed"] for cell in cells],
            "Fold": pd.array([cell["fold"] for cell in cells], dtype="Int64"),
            "State": [cell["state"] for cell in cells],
            "Run": [cell["run"] if cell["state"] != "missing" else None for cell in cells],
            "Launched by it": [cell["own"] for cell in cells],
            "Epoch": [cell["epoch"] for cell in cells],
            "Epochs": pd.array([cell["total_epochs"] for cell in cells], dtype="Int64"),
            "Metric": results("metric"),
            "Unit": results("unit"),
            "Test at best val.": pd.array(results("test_at_best_val"), dtype="Float64"),
            "Best val.": pd.array(results("best_val"), dtype="Float64"),
            "Average bits": pd.array(results("average_bits"), dtype="Float64"),
            "Seconds": pd.array(results("seconds"), dtype="Float64"),
            "Reason": [cell["reason"] for cell in cells],
            "Code": [cell["code"] for cell in cells],
            "synthetic": [bool(value) for value in results("synthetic")],
        }
    )


def failures(cells: Sequence[Row]) -> dict[str, str]:
    """Why runs of a sweep have failed, each reason once: how many by reason, the most frequent first."""
    reasons = Counter(row["reason"] or "no reason was given" for row in cells if row["state"] == "failed")
    return {reason: f"{count(n, 'run')} failed" for reason, n in reasons.most_common()}
