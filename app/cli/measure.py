"""`bitfront measure`: what a run really takes on this machine, beside its fp32 twin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Annotated, Any

from cyclopts import Parameter

from app.cli.reading import one_run, open_reader, print_json, print_table
from engine.errors import RunError
from engine.settings import Settings
from engine.spec import RunSpec
from engine.sweep import with_settings


def measure(
    run: str,
    /,
    *,
    epochs: int = 50,
    json_: Annotated[bool, Parameter(name="--json", negative="")] = False,
) -> None:
    """Train a run's spec again for a few epochs, and its fp32 twin, each in a fresh process.

    Parameters
    ----------
    run
        The id of a run.
    epochs
        Epochs to train for.
    json_
        Print JSON instead of a table.
    """
    settings = Settings()
    spec = json.loads(one_run(open_reader(settings), run)["spec"])
    spec = with_settings(spec, {"training.epochs": epochs})
    schemes = dict.fromkeys([spec["scheme"], "fp32"])
    rows = [_measure({**spec, "scheme": scheme}) for scheme in schemes]
    fp32 = rows[-1]
    for row in rows:
        row["time_to_fp32"] = row["seconds_an_epoch"] / fp32["seconds_an_epoch"]
        row["memory_to_fp32"] = row["peak_memory"] / fp32["peak_memory"]
    if json_:
        print_json(rows)
        return
    titles = ["scheme", "median s an epoch", "to fp32", "peak memory of the process, MB", "to fp32"]
    print_table(
        titles,
        [
            [
                row["scheme"],
                f"{row['seconds_an_epoch']:.4f}",
                f"{row['time_to_fp32']:.2f}×",
                f"{row['peak_memory'] / 1e6:.1f}",
                f"{row['memory_to_fp32']:.2f}×",
            ]
            for row in rows
        ],
    )


_PROGRAM = """
import json, statistics, sys
import engine
result = engine.run(engine.RunSpec.parse(json.loads(sys.argv[1])))
seconds = statistics.median(result.history.columns["seconds"])
print(json.dumps({"seconds_an_epoch": seconds, "peak_memory": result.summary.peak_memory}))
"""


def _measure(spec: dict[str, Any]) -> dict[str, Any]:
    canonical = RunSpec.parse(spec)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, canonical.to_json()],
        capture_output=True,
        text=True,
        env={**os.environ},
        check=False,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no output"]
        raise RunError(f"measuring {canonical.scheme} failed: {last[0]}")
    return {"scheme": canonical.scheme, **json.loads(done.stdout.splitlines()[-1])}
