"""The chosen runs in a line each: how far, how fast, how long still, on what, and whether anybody has heard of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.phrases import ago, count, duration, megabytes, number
from app.run_table import ENDED, SILENT, share_done
from app.theme import STATE_COLORS

Row = Mapping[str, Any]
Cell = dict[str, Any]
"""What a cell shows: ``text``, perhaps with a ``color``, a ``share`` (0 to 1) as a bar, ``states`` (name, Streamlit's
colour) in place of the text, and ``about`` (a sentence for the mouse)."""

SILENT_ABOUT = (
    "Its worker has not been heard from for 15 seconds: it may be gone. The run then goes on with another worker, from "
    "its last checkpoint."
)
COLUMNS = (
    {"title": "Run"},
    {"title": "State"},
    {"title": "Epochs"},
    {"title": "Time left"},
    {"title": "Epochs a second", "number": True},
    {"title": "Best validation", "number": True},
    {"title": "Memory", "number": True},
    {"title": "Worker"},
    {"title": "Heard from"},
)


def live_table(rows: Sequence[Row], names: Mapping[str, str], colors: Mapping[str, str], now: datetime) -> Cell:
    """The store's ``runs`` rows as the table over the live charts, in this order; ``colors``: by scheme."""
    return {
        "label": f"{count(len(rows), 'chosen run')}: state, progress, speed and worker",
        "columns": list(COLUMNS),
        "rows": [_cells(row, names[row["run"]], colors[row["scheme"]], now) for row in rows],
    }


def _cells(row: Row, name: str, color: str, now: datetime) -> list[Cell]:
    is_over, is_going = row["state"] in ENDED, row["state"] in ("running", "cancelling")
    states = [(row["state"], STATE_COLORS.get(row["state"], "gray"))]
    if row["is_silent"]:
        states.append((f"{SILENT}, last heard {ago(row['heard_at'], now)}", "orange"))
    speed = row["epochs_per_second"]
    return [
        {"text": name, "color": color},
        {"states": states, "about": SILENT_ABOUT if row["is_silent"] else ""},
        {"text": _epochs(row), **({"share": share_done(row)} if row["state"] != "queued" else {})},
        {"text": _left(row)},
        {"text": "–" if speed is None else f"{speed:,.0f}" if speed >= 100 else f"{speed:.3g}"},
        {"text": number(row["best_val"], row["unit"] or "")},
        _memory(row, is_over=is_over),
        {"text": row["worker"] or "–"},
        {"text": ago(row["heard_at"], now) if is_going else "–"},
    ]


def _epochs(row: Row) -> str:
    if row["state"] == "queued":
        place = row["queue_position"]
        return "waiting" if place is None else "next in the queue" if place == 1 else f"place {place} in the queue"
    return f"{row['epoch']} of {row['total_epochs']}"


def _left(row: Row) -> str:
    """Nothing is foretold of a run that nobody hears of."""
    if row["state"] in ENDED:
        return f"took {duration(row['seconds'])}" if row["seconds"] else "–"
    return "–" if row["is_silent"] or row["seconds_left"] is None else duration(row["seconds_left"])


def _memory(row: Row, *, is_over: bool) -> Cell:
    if is_over:
        return {"text": megabytes(row["peak_memory"]), "about": "Peak memory of the training."}
    return {"text": megabytes(row["worker_memory"]), "about": "Resident memory of the worker that trains it."}
