"""Waiting for a sweep: one progress bar for the whole, with the time left as finished runs tell it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn

from app.sweep_grid import left_text
from engine.settings import Settings

POLL_SECONDS = 0.5


def wait_for_sweep(client: Any, sweep: str, console: Console) -> dict[str, Any]:
    """Return when each run that stands for a cell has ended; gives the sweep's row. The store is asked for it."""
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TaskProgressColumn()]
    left = TextColumn("{task.fields[left]}")
    with Progress(*columns, left, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(sweep, total=None, left="")
        while True:
            rows = client.query("sweeps", sweep=sweep).to_pylist()
            if not rows:  # the store has not heard of it yet
                time.sleep(POLL_SECONDS)
                continue
            row = rows[0]
            workers = sum(worker["alive"] for worker in client.query("workers").to_pylist())
            ended = row["finished"] + row["failed"] + row["cancelled"]
            total = row["total"] - row["missing"]
            progress.update(bar, completed=ended, total=total, left=left_text(row, workers))
            if ended >= total:
                return row
            time.sleep(POLL_SECONDS)


def wait_for_measurements(settings: Settings, client: Any, runs: Sequence[str], console: Console) -> dict[str, str]:
    """Return when each run has been measured; gives why some could not be."""
    import tasks.submit

    if not runs:
        return {}
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("measured", total=len(runs))
        while True:
            asked = tasks.submit.measuring(settings, runs)
            failed = {run: one.reason for run, one in asked.items() if one.state == "failed"}
            done = set(client.query("measurements", runs=runs)["run"].to_pylist())
            progress.update(bar, completed=len(done | failed.keys()))
            if done | failed.keys() >= set(runs):
                return failed
            time.sleep(POLL_SECONDS)
