"""`bitfront bench`: the engine's own measurements, with their goals judged."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from app.cli.reading import print_json, print_table


def bench(
    *names: str,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Measure the engine's parts on this machine, each variant in a fresh process (minutes).

    Parameters
    ----------
    names
        Benches to run; all of them without a name.
    json_
        Print one JSON object instead of tables.
    """
    from engine.bench import BENCHES
    from engine.catalogue import unknown

    for name in names:
        if name not in BENCHES:
            raise unknown("bench", name, list(BENCHES))
    reports = {name: BENCHES[name].run() for name in names or BENCHES}
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


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, float) else str(value)
