"""`bitfront search`: have the workers look for the scheme that costs least and loses no more than is allowed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from app.cli.reading import Reader, open_reader, print_json, print_table
from app.digits import number
from engine.errors import BitfrontError, InputError
from engine.search.course import STAGES
from engine.search.file import SearchFile, read_search
from engine.settings import Settings
from engine.spec import read_toml_file

POLL_SECONDS = 0.5


def search(
    file: str,
    /,
    *,
    wait: Annotated[bool, Parameter(negative="")] = False,
    algorithm: str | None = None,
    seed: int | None = None,
    measure_only: Annotated[bool, Parameter(negative="")] = False,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Launch a search on the workers of `bitfront up`, or show one that was launched; `bitfront cancel` ends it.

    Parameters
    ----------
    file
        A TOML file (studies/search-*.toml), or the id of a search: `bitfront list searches` names them.
    wait
        Wait until the search has ended, then print what it found; without a winner the command fails.
    algorithm
        guided, random or nsga2, instead of the file's.
    seed
        Seed of the algorithm, instead of the file's: the first batch of one seed is the same for every algorithm.
    measure_only
        End after the measured configurations, without full trainings: for comparing algorithms (`bitfront versus`).
    json_
        Print JSON instead of text.
    """
    import tasks.submit
    from store.client import connect

    settings = Settings()
    if not Path(file).suffix and not Path(file).exists():
        if algorithm is not None or seed is not None or measure_only:
            raise InputError(f"{file} was launched already: --algorithm, --seed and --measure-only go with a file")
        reader = open_reader(settings)
        row = find(reader, file)
        row = _wait(reader, file) if wait else row
        _show(reader, row, as_json=json_)
        return
    given: dict[str, Any] = {"algorithm": algorithm, "seed": seed}
    if measure_only:
        given |= {"final_seeds": 0, "confirm": 0}
    table = read_toml_file(Path(file)) | {name: value for name, value in given.items() if value is not None}
    plan = read_search(table)
    client = connect(settings) if wait else None
    name = tasks.submit.search(settings, plan)
    if client is None:
        if json_:
            print_json({"search": name, "budget": plan.sizes.budget})
        else:
            Console().print(
                f"search {name} launched: {plan.name}, {plan.sizes.budget} configurations; follow it with "
                f"`bitfront search {name}`.",
                highlight=False,
                soft_wrap=True,
            )
        return
    row = _wait(client, name, plan)
    _show(client, row, as_json=json_)
    if row["state"] != "finished":
        raise BitfrontError(row["reason"] or f"the search was {row['state']}")


def find(reader: Reader, search: str) -> dict[str, Any]:
    """The row of a search. Raises InputError where there is none."""
    rows = reader.query("searches", search=search).to_pylist()
    if not rows:
        raise InputError(f"there is no search {search!r}: bitfront list searches names them")
    return rows[0]


def _wait(reader: Reader, name: str, plan: SearchFile | None = None) -> dict[str, Any]:
    """The row of a search that has ended; the store is asked, not the queue."""
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("waiting", total=None if plan is None else plan.sizes.budget)
        while True:
            rows = reader.query("searches", search=name).to_pylist()
            if rows and rows[0]["state"] != "running":
                return rows[0]
            if rows:
                done = reader.query("trials", search=name).to_pylist()
                stage = done[-1]["stage"] if done else "reference"
                ended = sum(row["state"] in ("finished", "failed", "cancelled") for row in done)
                progress.update(bar, completed=ended, total=max(len(done), 1), description=STAGES[stage])
            time.sleep(POLL_SECONDS)


def _show(reader: Reader, row: dict[str, Any], *, as_json: bool) -> None:
    result = json.loads(row["result"] or "{}")
    file = json.loads(row["file"])
    if as_json:
        about = {name: row[name] for name in ("search", "name", "dataset", "model", "state", "reason", "asked")}
        print_json({**about, **result, "published": file.get("published"), "trials": _trials(reader, row["search"])})
        return
    test = result.get("test") or {}
    pairs = {
        "search": f"{row['search']}, {row['name']}: {row['dataset']} × {row['model']}, {file['algorithm']}",
        "state": f"{row['state']}, {row['asked']} runs asked for, {row['unfinished']} not over",
        "reason": row["reason"],
        "winner": result.get("scheme"),
        f"saving of {file['figure']}": _times(result.get("saving")),
        "published": _times(file.get("published")) and f"{_times(file['published'])} ({file['source']})",
        "average bits (SGQuant)": _plain((result.get("figures") or {}).get("average_bits_sgquant")),
        "test, winner": _spread(test, "winner", result.get("unit")),
        "test, fp32": _spread(test, "fp32", result.get("unit")),
        "difference": _difference(test),
        "spent": result.get("measured")
        and f"{result['measured']} configurations: {result['few_runs']} of few epochs, "
        f"{result['full_fine_tunings']} fine-tunings, {result['full_trainings']} full trainings, "
        f"{result['failed']} failed",
    }
    print_table(["", ""], [[title, str(value)] for title, value in pairs.items() if value])


def _trials(reader: Reader, search: str) -> list[dict[str, Any]]:
    kept = ("number", "run", "stage", "batch", "scheme", "seed", "cost", "predicted", "state", "val_best")
    return [{name: row[name] for name in kept} for row in reader.query("trials", search=search).to_pylist()]


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}×"


def _plain(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _spread(test: dict[str, Any], name: str, unit: str | None) -> str:
    if name not in test:
        return ""
    spread = f" ± {number(test[f'{name}_std'], unit)}" if f"{name}_std" in test else ""
    return f"{number(test[name], unit)}{spread} {unit or ''} over {test['n']} seeds"


def _difference(test: dict[str, Any]) -> str:
    if "difference" not in test:
        return ""
    interval = f" ± {test['difference_ci95']:.2f} (95 %)" if "difference_ci95" in test else ""
    return f"{test['difference']:+.2f}{interval}"
