"""What the signals of dynamic precision cost: their share of an epoch, whatever the run's controller.

Each case is a run on the real graph in a fresh process with one thread. Within it each epoch is timed whole and the
signals (losses' windows, gradient diversity, the decision) apart from it, so that both meet the same disturbances.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

from engine.bench import Goal, Report
from engine.errors import BitfrontError
from engine.schedule import WINDOW

if TYPE_CHECKING:
    from engine.training import Training

CASES = (
    ("cora", "gcn", "fp32"),
    ("cora", "gcn", "int8"),
    ("cora", "gcn", "adq[int4,int8]"),
    ("cora", "gat", "int8"),
    ("cora", "gin", "int8"),
)
EPOCHS = 200
MOST = 3.0
"""The promise: per cent of an epoch on Cora."""


def run(cases: Sequence[tuple[str, str, str]] = CASES, epochs: int = EPOCHS) -> Report:
    """Measure each case; ``epochs`` of each run."""
    rows = [_spawn(case, epochs) for case in cases]
    goals = [
        Goal(
            f"at most {MOST:g} % of an epoch, {row['dataset']} {row['model']} {row['scheme']}",
            f"{row['share']} %",
            row["share"] <= MOST,
        )
        for row in rows
    ]
    return Report(rows, goals, [f"medians over {epochs} epochs, one thread, each case in a fresh process"])


def _spawn(case: tuple[str, str, str], epochs: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "engine.bench.signals", *case, "--epochs", str(epochs)]
    one = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **one})
    if done.returncode:
        raise BitfrontError(f"the bench of signals failed on {case}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def measure(dataset: str, model: str, scheme: str, epochs: int) -> dict[str, Any]:
    """The row of a case: milliseconds an epoch, microseconds of its signals, per cent."""
    from engine.events import RunStarted
    from engine.settings import Settings
    from engine.spec import RunSpec
    from engine.training import Training

    spec = RunSpec.parse({"dataset": dataset, "model": model, "scheme": scheme, "training": {"epochs": epochs}})
    # Compiled epochs hear of their gradients on the way.
    training, spent = Training(spec, Settings().model_copy(update={"compiled": False})), [0.0] * epochs
    for event in training:
        if isinstance(event, RunStarted):
            # The real loop's own calls, each with a clock around it.
            diversity = training.signals.diversity
            diversity.after = _timed(diversity.after, training, spent)
            training.signals.hear = _timed(training.signals.hear, training, spent)
            training.precision.after = _timed(training.precision.after, training, spent)
    seconds = median(row.seconds or 0.0 for row in training.rows)
    # The diversity's window ends every third epoch: three together are the unit.
    signals = median(sum(spent[at : at + WINDOW]) / WINDOW for at in range(0, epochs - epochs % WINDOW, WINDOW))
    return {
        "dataset": dataset,
        "model": model,
        "scheme": scheme,
        "epoch": round(seconds * 1e3, 2),
        "signals": round(signals * 1e6, 1),
        "share": round(100 * signals / seconds, 2),
    }


def _timed(call: Any, training: Training, spent: list[float]) -> Any:
    def timed(*given: Any) -> Any:
        began = time.perf_counter()
        found = call(*given)
        spent[training.trainer.steps - 1] += time.perf_counter() - began
        return found

    return timed


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("dataset", "model", "scheme"):
        parser.add_argument(name)
    parser.add_argument("--epochs", type=int, required=True)
    print(json.dumps(measure(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
