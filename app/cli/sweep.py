"""`bitfront sweep`: launch a grid of runs on the workers, wait for its table; look at its grid or its table later."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from app.cli.reading import Reader, open_reader, print_json, print_table
from app.cli.sweep_table import print_results, read_curves, read_measured, read_results
from app.cli.sweep_wait import wait_for_measurements, wait_for_sweep
from app.conclusion import conclude
from app.phrases import count
from app.sweep_grid import budget_text, counts_text, left_text, make_grid
from engine.errors import InputError
from engine.settings import Settings
from engine.sweep import Sweep, expand, read_sweep_file


def sweep(
    file: Path,
    /,
    *,
    wait: Annotated[bool, Parameter(negative="")] = False,
    table: Annotated[bool, Parameter(negative="")] = False,
    status: Annotated[bool, Parameter(negative="")] = False,
    again: Annotated[bool, Parameter(negative="")] = False,
    seeds: int | None = None,
    epochs: int | None = None,
    priority: int | None = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Launch every run of a sweep file on the workers of `bitfront up`; what is there already is not trained again.

    Launching a file again is the same sweep: it goes on with what failed, was cancelled, or is missing.

    Parameters
    ----------
    file
        A TOML or JSON file; each list or range in its [spec] is an axis of the grid, [[runs]] blocks say what differs.
    wait
        Wait until every run has ended, then print the table.
    table
        Launch nothing: print the table of what is there of the file's runs, without a server if need be.
    status
        Launch nothing: print the grid of finished, failed and missing runs, and what a launch would do.
    again
        Train everything again, whatever is there.
    seeds
        Number of seeds, instead of the file's.
    epochs
        Number of epochs, instead of the file's.
    priority
        0 is served first, 9 last; instead of the file's.
    json_
        Print JSON instead of text.
    """
    import tasks.submit
    import tasks.sweeps
    from store.client import connect

    if table + status + wait > 1 or ((table or status) and again):
        raise InputError("--table and --status launch nothing: give one of them alone, or --wait, or --again")
    settings = Settings()
    plan = expand(read_sweep_file(file), seeds=seeds, epochs=epochs, priority=priority)
    if table:
        show_results(open_reader(settings), plan, file, {}, as_json=json_)
        return
    if status:
        show_status(open_reader(settings), plan, as_json=json_)
        return
    launched = tasks.sweeps.launch(settings, plan, again=again)
    runs = [run for run in launched.runs if run is not None]
    about = {"sweep": launched.sweep, "runs": runs}
    counts = {name: getattr(launched, name) for name in ("launched", "resumed", "finished", "going", "left_out")}
    if not wait:
        if json_:
            print_json(about | counts)
        else:
            Console().print(f"{outcome(launched, plan)}; follow it with `bitfront status`.", highlight=False)
        return
    with connect(settings) as client:
        tasks.submit.catch_up(settings, client, "lost")
        console = Console(stderr=True)
        if launched.launched < len(runs) or launched.left_out:
            console.print(f"{outcome(launched, plan)}.", highlight=False, markup=False, soft_wrap=True)
        wait_for_sweep(client, launched.sweep, console)
        failed = wait_for_measurements(settings, client, list(launched.measured), console)
        show_results(client, plan, file, about, as_json=json_)
    for run, reason in failed.items():
        console.print(f"{run} was not measured: {reason}", highlight=False, markup=False, soft_wrap=True)


def outcome(launched: Any, plan: Sweep) -> str:
    """What a launch did, in a sentence without its end."""
    said = [f"{count(launched.launched, 'run')} launched as {launched.sweep}"]
    if launched.resumed:
        said.append(f"{launched.resumed} that had failed or were cancelled go on")
    if launched.finished:
        said.append(f"{launched.finished} had finished before (--again trains them again)")
    if launched.going:
        said.append(f"{launched.going} were queued or running already")
    if launched.left_out:
        said.append(f"{launched.left_out} are left out, since the budget allows {plan.budget.runs} runs")
    return "; ".join(said)


def show_results(reader: Reader, plan: Sweep, file: Path, about: dict[str, Any], *, as_json: bool) -> None:
    """Print the tables of a sweep, or one JSON object with ``groups``, ``paired``, and what else its file asks for."""
    groups, paired = read_results(reader, plan)
    measured = read_measured(reader, plan, groups)
    curves = read_curves(reader, plan, groups)
    if as_json:
        more = {"measured": measured} if plan.measure else {}
        more |= {"conclusion": conclude(plan, groups, paired)} if plan.conclusion else {}
        more |= {"curves": curves} if plan.curves else {}
        print_json({**about, "groups": groups, "paired": paired, **more})
    elif groups:
        print_results(plan, groups, paired, measured, curves)
    else:
        Console().print(f"No run of this file is known here: launch it with `bitfront sweep {file}`.", highlight=False)


ACTS = {
    "launch": "launch {}",
    "resume": "have {} go on that failed or were cancelled",
    "leave out": "leave out {}, which the budget does not allow",
}


def show_status(reader: Reader, plan: Sweep, *, as_json: bool) -> None:
    """Print the grid of a sweep's runs, and what launching the file now would do; ``cells`` and ``acts`` as JSON."""
    from tasks.sweeps import decide

    decided = decide(reader.query, plan)
    acts = Counter(one.act for one in decided)
    cells = reader.query("sweep_cells", sweep=plan.id).to_pylist()
    rows = reader.query("sweeps", sweep=plan.id).to_pylist()
    if not cells:  # never launched: what is there all the same
        columns = {"dataset": "dataset", "model": "model"}
        cells = [
            {name: getattr(one.spec, part).name for name, part in columns.items()}
            | {"scheme": one.spec.scheme, "seed": one.spec.seed, "fold": one.spec.fold, "group_id": one.spec.group}
            | {"hash": one.hash, "run": one.run, "state": one.state}
            for one in decided
        ]
    if as_json:
        print_json({"sweep": plan.id, "progress": rows[0] if rows else None, "cells": cells, "acts": acts})
        return
    grid = make_grid(cells, plan.cells)
    lines = [
        [scheme, *(grid.cells[scheme, place].text if (scheme, place) in grid.cells else "" for place in grid.places)]
        for scheme in grid.schemes
    ]
    print_table(["scheme", *grid.places], lines)
    console = Console()
    for row in rows:
        workers = sum(worker["alive"] for worker in reader.query("workers").to_pylist())
        said = (counts_text(row), left_text(row, workers), budget_text(row))
        console.print(" · ".join(text for text in said if text), highlight=False)
    if not rows:
        console.print(f"{plan.id} was not launched yet.", highlight=False, markup=False)
    todo = [said.format(count(acts[act], "run")) for act, said in ACTS.items() if acts[act]]
    console.print(f"A launch now would {' and '.join(todo) if todo else 'do nothing'}.", highlight=False)
