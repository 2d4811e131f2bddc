"""`bitfront sweep`: launch a grid of runs on the workers, and wait for its table if asked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from app.cli.reading import mean_and_std, print_json, print_table
from engine.settings import Settings
from engine.spec import read_toml_file
from engine.sweep import expand

POLL_SECONDS = 0.5


def sweep(
    file: Path,
    /,
    *,
    wait: Annotated[bool, Parameter(negative="")] = False,
    seeds: int | None = None,
    epochs: int | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Launch every run of a sweep file on the workers of `bitfront up`.

    Parameters
    ----------
    file
        A TOML file; every list in its [spec] is an axis of the grid.
    wait
        Wait until every run has ended, then print the table.
    seeds
        Number of seeds, instead of the file's.
    epochs
        Number of epochs, instead of the file's.
    json_
        Print JSON instead of text.
    """
    import tasks.submit
    from store.client import connect

    settings = Settings()
    plan = expand(read_toml_file(file), seeds=seeds, epochs=epochs)
    client = connect(settings) if wait else None
    if client is not None:
        client.health()
    name = f"{plan.name}@{time.strftime('%Y%m%dT%H%M%S')}"
    runs = tasks.submit.submit(settings, list(plan.runs), priority=plan.priority, sweep=name)
    if client is None:
        if json_:
            print_json({"sweep": name, "runs": runs})
        else:
            Console().print(
                f"{len(runs)} runs launched as {name}; follow them with `bitfront status`.", highlight=False
            )
        return
    _wait(client, name, len(runs))
    groups = client.query("groups", sweep=name, limit=100_000).to_pylist()
    if json_:
        print_json({"sweep": name, "runs": runs, "groups": groups})
    else:
        print_groups(groups)


def _wait(client: Any, name: str, total: int) -> None:
    """Return when every run of the sweep has ended; the store is asked, not the queue."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task(name, total=total)
        while True:
            row = next((row for row in client.query("sweeps").to_pylist() if row["sweep"] == name), None)
            ended = 0 if row is None else row["finished"] + row["failed"] + row["cancelled"]
            progress.update(bar, completed=ended)
            if ended >= total:
                return
            time.sleep(POLL_SECONDS)


def print_groups(groups: list[dict[str, Any]]) -> None:
    """The comparison: one row a group of seeds, mean ± sample std."""
    titles = ["dataset", "model", "scheme", "seeds", "test at best val", "test last", "memory", "arithmetic", "scope"]
    rows = [
        [
            group["dataset"] + (" (synthetic)" if group["synthetic"] else ""),
            group["model"],
            group["scheme"],
            str(group["n"]) + (f" ({group['failed']} failed)" if group["failed"] else ""),
            mean_and_std(group["test_mean"], group["test_std"]),
            mean_and_std(group["last_mean"], group["last_std"]),
            _times(group["memory_density"]),
            _times(group["arithmetic_density"]),
            f"{group['density_scope']}, {group['density_coverage']}",
        ]
        for group in groups
    ]
    print_table(titles, rows)


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}×"
