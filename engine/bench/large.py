"""Training on a generated graph of Reddit's size, or a fraction of it: seconds an epoch and peak memory of the process.

Each case is the beginning of a run in a fresh process: generation, the first epoch (which also finds what stays the
same, and keeps diagnostics), and a few more as most of the run's are, each with its evaluation on all nodes. The peak
is that of the process' resident set, generation included. Every model has its default options.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from engine.bench import Goal, Report
from engine.errors import BitfrontError, InputError

CASES = (
    ("gcn", "fp32", "full"),
    ("gcn", "int8", "full"),
    ("gcn", "msfp13", "full"),
    ("sage", "fp32", "full"),
    ("sage", "int8", "full"),
    ("sage", "msfp13", "full"),
    ("gcn", "int8", "clusters(parts=200,per_batch=20)"),
    ("sage", "int8", "neighbours"),
)
MOST_GIGABYTES = 20.0
"""The promise at full size, 10^9 bytes."""


def run(
    fraction: float = 0.02, *, epochs: int = 3, threads: int = 1, cases: Sequence[tuple[str, str, str]] = CASES
) -> Report:
    """Measure each case on ``like:reddit(factor=fraction)``; ``epochs`` of each, timed from the second on."""
    if epochs < 2:
        raise InputError(f"epochs = {epochs} is not allowed: the first one is timed apart, so give 2 or more")
    rows = [_spawn(case, fraction, epochs, threads) for case in cases]
    notes = (
        f"like:reddit(factor={fraction:g}) (synthetic), {threads} thread(s), {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f} at the end; each case in a fresh process, medians of epochs 2 to {epochs}",
        "an epoch holds its training and an evaluation on every node; processor seconds are what it takes on an idle "
        "machine with one thread; peaks are of the process' resident set",
    )
    return Report(rows, [_judge(row) for row in rows], notes)


def _judge(row: dict[str, Any]) -> Goal:
    where = f"{row['model']} {row['scheme']} {row['batching']}, {row['edges']} edges"
    return Goal(f"peak at most {MOST_GIGABYTES:g} GB, {where}", f"{row['peak']:.2f} GB", row["peak"] <= MOST_GIGABYTES)


def _spawn(case: tuple[str, str, str], fraction: float, epochs: int, threads: int) -> dict[str, Any]:
    environment = {**os.environ, **{f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "MKL", "NUMBA")}}
    command = [sys.executable, "-m", "engine.bench.large", *case, "--fraction", repr(fraction)]
    command += ["--epochs", str(epochs), "--threads", str(threads)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise BitfrontError(f"the bench of large graphs failed on {' '.join(case)}: {reason}")
    return json.loads(done.stdout)


def measure(model: str, scheme: str, batching: str, fraction: float, epochs: int, threads: int) -> dict[str, Any]:
    """One case in this process."""
    import engine
    from engine.events import EpochFinished, RunStarted
    from engine.measure import peak_memory
    from engine.settings import Settings

    spec = engine.RunSpec.parse(
        {
            "dataset": f"like:reddit(factor={fraction!r})",
            "model": model,
            "scheme": scheme,
            "training": {"batching": batching},
        }
    )
    began = time.perf_counter()
    found: dict[str, Any] = {"model": model, "scheme": scheme, "batching": spec.training.batching, "fraction": fraction}
    losses: list[float | None] = []
    seconds: list[float] = []
    processor = [time.process_time()]
    for event in engine.train(spec, Settings(threads=threads)):
        if isinstance(event, RunStarted):
            found["nodes"], found["edges"] = event.provenance["nodes"], event.provenance["edges"]
            found["load"] = round(time.perf_counter() - began, 1)
            # The run starts a new peak after this event.
            found["load_peak"] = peak_memory() / 1e9
        elif isinstance(event, EpochFinished):
            losses.append(event.train_loss)
            seconds.append(event.seconds or 0.0)
            processor.append(time.process_time())
            if len(seconds) == epochs:
                break
    found["training_peak"] = peak_memory() / 1e9
    middle = statistics.median(seconds[1:])
    return found | {
        "first": round(seconds[0], 2),
        "seconds": round(middle, 2),
        "processor": round(statistics.median(b - a for a, b in pairwise(processor[1:])), 2),
        "peak": max(found["load_peak"], found["training_peak"]),
        "first_loss": losses[0],
        "last_loss": losses[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("model", "scheme", "batching"):
        parser.add_argument(name)
    parser.add_argument("--fraction", type=float, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    print(json.dumps(measure(**vars(parser.parse_args()))))


if __name__ == "__main__":
    main()
