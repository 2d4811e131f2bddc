"""`bitfront bench`: the measurements of the engine and the dashboard, with their goals judged."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from app.bench import BENCHES as PAGES
from app.cli.reading import print_json, print_table
from engine.bench import BENCHES as ENGINE
from engine.bench import Bench
from engine.catalogue import unknown
from engine.errors import InputError

BENCHES = {**ENGINE, **PAGES}


def bench(
    *names: str,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative="")] = None,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Measure the engine's parts and the dashboard on this machine, each variant in a fresh process (minutes).

    Parameters
    ----------
    names
        Benches to run; all of them without a name.
    set_
        What the named benches take, as often as need be: bench large --set fraction=1, bench train --set datasets=cora.
    json_
        Print one JSON object instead of tables.
    """
    for name in names:
        if name not in BENCHES:
            raise unknown("bench", name, list(BENCHES))
    options = {name: _options(BENCHES[name], set_ or []) for name in names or BENCHES}
    reports = {name: BENCHES[name].run(**options[name]) for name in options}
    if json_:
        print_json(
            {
                name: {
                    "rows": [dict(row) for row in report.rows],
                    "goals": [vars(goal) for goal in report.goals],
                    "notes": list(report.notes),
                }
                for name, report in reports.items()
            }
        )
        return
    console = Console()
    for name, report in reports.items():
        found = BENCHES[name]
        console.print(f"{name}: {found.summary}", style="bold", highlight=False)
        print_table(
            list(found.columns.values()), [[_cell(row.get(key)) for key in found.columns] for row in report.rows]
        )
        for goal in report.goals:
            console.print(f"{'met    ' if goal.met else 'NOT MET'}  {goal.goal}: {goal.value}", highlight=False)
        for note in report.notes:
            console.print(note, style="dim", highlight=False)


def _options(bench: Bench, texts: list[str]) -> dict[str, int | float | str]:
    """``key=value`` texts as a bench takes them. Raises InputError."""
    options: dict[str, int | float | str] = {}
    allowed = bench.options if texts else {}
    for text in texts:
        key, _, value = text.partition("=")
        if key not in allowed:
            raise unknown(f"option of the bench {bench.name!r}", key, list(allowed))
        try:
            options[key] = type(allowed[key])(value)
        except ValueError:
            raise InputError(f"--set {text} is not allowed: {key} is a number, such as {allowed[key]}") from None
    return options


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
