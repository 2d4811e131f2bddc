"""`bitfront status` and `bitfront cancel`: what is queued, running and done, and how to stop it."""

from __future__ import annotations

import json
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from app.cli.reading import Reader, one_run, open_reader, print_json, print_table
from app.decided import DECISIONS, decision_line
from app.diagnosed import degrees, place
from app.digits import number
from engine.errors import InputError
from engine.settings import Settings
from engine.sweep import Sweep, expand

ACTIVE = ("queued", "running", "cancelling")


def status(
    run: str | None = None,
    /,
    *,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Show the newest runs, or one in full with where it loses accuracy; "test" is the test metric at best validation.

    Parameters
    ----------
    run
        A run's id; without it, the newest 20 runs.
    json_
        Print JSON instead of a table.
    """
    reader = open_reader(Settings())
    if run is not None:
        row = one_run(reader, run)
        lost = reader.query("diagnostics", runs=run).to_pylist()
        decisions = reader.query("switches", runs=run).to_pylist()
        if json_:
            print_json({**row, "precision": decisions, "diagnostics": lost})
            return
        print_table(["field", "value"], [[key, str(value)] for key, value in row.items() if value is not None])
        if len(decisions) > 1:
            Console().print("\nPrecision by epoch", style="bold", highlight=False)
            print_table(DECISIONS, [decision_line(found) for found in decisions])
        if lost:
            Console().print(f"\nWhere accuracy is lost, epoch {lost[0]['epoch']}", style="bold", highlight=False)
            print_table(LOST, [_lost_row(found) for found in lost])
        return
    rows = reader.query("runs", limit=20).to_pylist()
    if json_:
        print_json(rows)
        return
    if not rows:
        Console().print("No runs yet: launch one with `bitfront run` or in the dashboard.", highlight=False)
        return
    titles = ["run", "state", "dataset", "model", "scheme", "seed", "epoch", "val", "test", "note"]
    print_table(titles, [_status_row(row) for row in rows])


def _status_row(row: dict[str, Any]) -> list[str]:
    def shown(value: float | None) -> str:
        return "" if value is None else number(value, row["unit"])

    epochs = f"{row['epoch']}/{row['total_epochs']}" if row["total_epochs"] else ""
    names = [row["run"], row["state"], row["dataset"], row["model"], row["scheme"], str(row["seed"])]
    note = row["reason"] or (f"not heard from since {row['heard_at']:%H:%M:%S} UTC" if row["is_silent"] else "")
    return [*names, epochs, shown(row["val_metric"]), shown(row["test_at_best_val"]), note]


LOST = ["site", "layer", "product", "format", "in-degree", "SQNR (dB)", "saturated (%)", "zeroed gradients (%)"]


def _lost_row(row: dict[str, Any]) -> list[str]:
    def share(value: float | None) -> str:
        return "" if value is None else f"{100 * value:.2f}"

    sqnr = "" if row["sqnr"] is None else f"{row['sqnr']:.1f}"
    names = [place(row), str(row["layer"]), row["product"], row["format"], degrees(row)]
    return [*names, sqnr, share(row["saturated"]), share(row["zeroed"])]


def cancel(
    *runs: str,
    all_queued: bool = False,
    all_: Annotated[bool, Parameter(name="--all", negative="")] = False,
) -> None:
    """Cancel runs: a queued one never starts, a running one stops within a second; `bitfront resume` takes it up again.

    Parameters
    ----------
    runs
        Ids of runs, of sweeps (all that a sweep has launched), or of searches, which then ask for nothing more.
    all_queued
        Cancel everything that is still queued.
    all_
        Cancel everything that is queued or running.
    """
    import tasks.submit
    import tasks.sweeps

    if not runs and not all_queued and not all_:
        raise InputError("name the runs or the sweep to cancel, or give --all-queued or --all")
    settings = Settings()
    console = Console()
    if all_:
        count = tasks.submit.cancel_all(settings)
        said = f"Asked to cancel {count} run{'' if count == 1 else 's'}." if count else "Nothing is queued or running."
        console.print(said, highlight=False)
        return
    reader = open_reader(settings)
    searches = [each for each in runs if reader.query("searches", search=each).num_rows]
    for each in searches:
        tasks.submit.cancel_search(settings, each)
        console.print(f"{each}: the search ends, and its runs are cancelled", highlight=False)
    sweeps = [name for name in runs if name not in searches and is_sweep(reader, name)]
    chosen = {run: one_run(reader, run)["state"] for run in runs if run not in (*sweeps, *searches)}
    if all_queued:
        queued = reader.query("runs", states="queued", limit=1_000_000).to_pylist()
        chosen |= {row["run"]: row["state"] for row in queued}
    active = [run for run, state in chosen.items() if state in ACTIVE]
    if active:
        tasks.submit.cancel(settings, active)
    for name in sweeps:
        count = tasks.sweeps.cancel(settings, name)
        said = (
            f"cancel asked for {count} run{'' if count == 1 else 's'}" if count else "nothing that it launched goes on"
        )
        console.print(f"{name}: {said}", highlight=False)
    for run, state in chosen.items():
        note = "cancel asked for" if run in active else f"already {state}: left as it is"
        console.print(f"{run}: {note}", highlight=False)
    if not chosen and not sweeps and not searches:
        console.print("Nothing is queued.", highlight=False)


def is_sweep(reader: Reader, name: str) -> bool:
    """Whether this names a sweep, and not a run."""
    return not reader.query("run", run=name).num_rows and reader.query("sweeps", sweep=name).num_rows > 0


def planned(reader: Reader, name: str) -> Sweep:
    """A sweep that was launched, from the table that the store keeps. Raises InputError where it keeps none."""
    [row] = reader.query("sweeps", sweep=name).to_pylist()
    if row["plan"] is None:
        raise InputError(f"the sweep {name} was launched by an older Bitfront: launch its file again")
    return expand(json.loads(row["plan"]))


def resume(*runs: str) -> None:
    """Have cancelled or failed runs go on: from the last checkpoint if one is left, else from the beginning.

    Parameters
    ----------
    runs
        Ids of runs, or of sweeps: what is missing of a sweep is launched.
    """
    import tasks.submit
    import tasks.sweeps
    from app.cli.sweep import outcome
    from app.run_table import can_resume

    if not runs:
        raise InputError("name the runs to resume")
    settings = Settings()
    reader = open_reader(settings)
    sweeps = [name for name in runs if is_sweep(reader, name)]
    for name in sweeps:
        plan = planned(reader, name)
        Console().print(f"{outcome(tasks.sweeps.go_on(settings, plan, name), plan)}.", highlight=False, markup=False)
    rows = {run: one_run(reader, run) for run in runs if run not in sweeps}
    chosen = {run: row["attempt"] for run, row in rows.items() if can_resume(row)}
    if chosen:
        tasks.submit.resume(settings, chosen)
    console = Console()
    for run, row in rows.items():
        why = "trains where it was launched" if row["origin"] == "local" else f"is {row['state']}"
        console.print(f"{run}: {'queued again' if run in chosen else f'{why}: left as it is'}", highlight=False)
