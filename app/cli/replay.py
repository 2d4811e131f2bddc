"""`bitfront replay`: what another schedule of precision would have done on the signals of a run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from app.cli.reading import one_run, open_reader, print_json, print_table
from app.decided import DECISIONS, decision_line
from engine.settings import Settings
from engine.spec import RunSpec


def replay(
    run: str,
    /,
    *,
    scheme: str,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Say when another schedule would have changed the precision of a run, by the signals that every run logs.

    The answer is exact up to the first epoch that would have trained with other formats than the run had, and an
    estimate from there on.

    Parameters
    ----------
    run
        The id of a run.
    scheme
        A scheme with a schedule, such as 'adq[int4,int8](theta=0.95)'.
    json_
        Print JSON instead of a table.
    """
    from app.schedules import replay_run

    settings = Settings()
    reader = open_reader(settings)
    row = one_run(reader, run)
    epochs = reader.query("epochs", runs=run).to_pydict()
    found, drawn = replay_run(scheme, RunSpec.from_json(row["spec"]), epochs, row["total_epochs"], settings)
    if json_:
        print_json(
            {
                "run": run,
                "scheme": drawn.scheme,
                "ran": row["scheme"],
                "epochs": drawn.last,
                **asdict(found),
                "bits": [decision["bits"] for decision in drawn.decisions],
            }
        )
        return
    print_table(DECISIONS, [decision_line(decision) for decision in drawn.decisions])
    Console().print(f"\n{found.note[0].upper()}{found.note[1:]}.", highlight=False, markup=False)
