"""`bitfront sweep`: launch a grid of runs on the workers, wait for its table if asked, print it again later."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from app.cli.reading import Reader, open_reader, print_json
from app.cli.sweep_table import print_results, read_measured, read_results
from engine.errors import InputError
from engine.settings import Settings
from engine.spec import read_toml_file
from engine.sweep import Sweep, expand

POLL_SECONDS = 0.5


def sweep(
    file: Path,
    /,
    *,
    wait: Annotated[bool, Parameter(negative="")] = False,
    table: Annotated[bool, Parameter(negative="")] = False,
    seeds: int | None = None,
    epochs: int | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Launch every run of a sweep file on the workers of `bitfront up`.

    Parameters
    ----------
    file
        A TOML file; every list in its [spec] is an axis of the grid, [[runs]] blocks say what differs.
    wait
        Wait until every run has ended, then print the table.
    table
        Launch nothing: print the table of what is there of the file's runs, without a server if need be.
    seeds
        Number of seeds, instead of the file's.
    epochs
        Number of epochs, instead of the file's.
    json_
        Print JSON instead of text.
    """
    import tasks.submit
    from store.client import connect

    if table and wait:
        raise InputError("--table launches nothing, so there is nothing to wait for: leave --wait or --table out")
    settings = Settings()
    plan = expand(read_toml_file(file), seeds=seeds, epochs=epochs)
    if table:
        show_results(open_reader(settings), plan, file, {}, as_json=json_)
        return
    client = connect(settings) if wait else None
    if client is not None:
        client.health()
    name = f"{plan.name}@{time.strftime('%Y%m%dT%H%M%S')}"
    runs = tasks.submit.submit(settings, list(plan.runs), priority=plan.priority, sweep=name)
    measured = [run for run, spec in zip(runs, plan.runs, strict=True) if plan.measure and spec in plan.cells]
    tasks.submit.measure(settings, *measured)
    if client is None:
        if json_:
            print_json({"sweep": name, "runs": runs})
        else:
            Console().print(
                f"{len(runs)} runs launched as {name}; follow them with `bitfront status`.", highlight=False
            )
        return
    _wait(client, name, len(runs))
    failed = _wait_for_measurements(settings, client, measured)
    show_results(client, plan, file, {"sweep": name, "runs": runs}, as_json=json_)
    for run, reason in failed.items():
        Console(stderr=True).print(f"{run} was not measured: {reason}", highlight=False, markup=False, soft_wrap=True)


def show_results(reader: Reader, plan: Sweep, file: Path, about: dict[str, Any], *, as_json: bool) -> None:
    """Print the tables of a sweep, or one JSON object with ``groups`` and ``paired`` (and ``measured``)."""
    groups, paired = read_results(reader, plan)
    measured = read_measured(reader, plan, groups)
    if as_json:
        print_json({**about, "groups": groups, "paired": paired} | ({"measured": measured} if plan.measure else {}))
    elif groups:
        print_results(plan, groups, paired, measured)
    else:
        Console().print(f"No run of this file is known here: launch it with `bitfront sweep {file}`.", highlight=False)


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


def _wait_for_measurements(settings: Settings, client: Any, runs: list[str]) -> dict[str, str]:
    """Return when each run has been measured; gives why some could not be."""
    import tasks.submit

    if not runs:
        return {}
    console = Console(stderr=True)
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
