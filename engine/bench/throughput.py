"""Runs an hour through the whole stack, and core-seconds a run, beside eager runs of PyG's own GCN in fp32.

The stack is `bitfront up` in a home of its own, with one worker a core; a sweep of seeds is launched as a person would,
and every process of the stack counts: dispatcher, queue and store as well as the workers, from the launch to the last
run's end, with each run's ledger, events, diagnostics and saved model. PyG's runs are loops as one writes them (train,
evaluate three splits, each epoch), one process a core, imported and loaded before the clock starts.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from engine.bench import Goal, Report
from engine.bench.processes import Child, answer, environment
from engine.errors import BitfrontError
from engine.settings import Settings
from engine.spec import RunSpec

MODULE = "engine.bench.throughput"
SCHEMES = ("int8", "msfp13")
MANY = 15_000
"""Runs of the thesis."""
BASE = "PyG, fp32, eager"
LEAST_RATIO, MOST_HOURS = 6.0, 1.0
READY_SECONDS = 300.0
"""How long `bitfront up` may take: on a new machine its first worker compiles."""
COMMAND = (sys.executable, "-c", "from app.cli import main; main()")


def run(
    schemes: str = ",".join(SCHEMES), *, runs: int = 200, epochs: int = 200, workers: int = 0, peers: int = 3
) -> Report:
    """Measure. ``runs`` of ``epochs`` a scheme; ``workers``: 0: one a core; ``peers``: PyG's runs a core."""
    cores = workers or os.cpu_count() or 1
    rows = [measure_peer(epochs, cores, peers)]
    with tempfile.TemporaryDirectory(prefix="bitfront-bench-") as folder:
        home = Path(folder) / "home"
        with _stack(home, cores) as stack:
            # Each worker's child loads its data and its kernels with its first runs.
            _sweep(home, "fp32", 4 * cores, 9)
            rows += [measure_stack(home, stack, scheme, runs, epochs, cores) for scheme in schemes.split(",")]
    for row in rows:
        row["ratio"] = round(rows[0]["core_seconds"] / row["core_seconds"], 2)
        row["by_clock"] = round(row["an_hour"] / rows[0]["an_hour"], 2)
        row["many"] = round(MANY * row["core_seconds"] / cores / 3600, 2)
    notes = [
        f"Cora, GCN of two layers with 16 hidden units, {epochs} epochs a run, each evaluated; {cores} workers on "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end",
        "runs an hour are judged by the lesser of two ratios: the clock's, and PyG's core-seconds a run ÷ these, which "
        "other programs on the machine change less; 15,000 runs by their core-seconds on these workers' cores",
        "an hour: by the clock from the launch to the last run's end; one: a run's training; core-seconds: of all "
        "processes of the stack from before the launch until the table is there, by the runs",
    ]
    return Report(rows, judge(rows), notes)


def judge(rows: Sequence[Mapping[str, Any]]) -> list[Goal]:
    """The two promises, of every quantized scheme."""
    goals: list[Goal] = []
    for row in rows:
        if row["variant"] == BASE:
            continue
        least = min(row["ratio"], row["by_clock"])
        goals += [
            Goal(
                f"{row['variant']}: runs an hour at least {LEAST_RATIO:g} × PyG's eager fp32 runs",
                f"{least:.1f}",
                least >= LEAST_RATIO,
            ),
            Goal(
                f"{row['variant']}: {MANY:,} runs in at most {MOST_HOURS:g} hour",
                f"{row['many']:.2f} h",
                row["many"] <= MOST_HOURS,
            ),
        ]
    return goals


def measure_stack(home: Path, stack: psutil.Process, scheme: str, runs: int, epochs: int, cores: int) -> dict[str, Any]:
    """A sweep of so many seeds."""
    before = _processor_seconds(stack)
    found = _sweep(home, scheme, runs, epochs)
    spent = _processor_seconds(stack) - before
    launched = min(datetime.fromisoformat(row["submitted_at"]) for row in found)
    seconds = (max(datetime.fromisoformat(row["ended_at"]) for row in found) - launched).total_seconds()
    return {
        "variant": f"{scheme}, bitfront up",
        "runs": len(found),
        "workers": cores,
        "seconds": round(seconds, 1),
        "one": round(statistics.median(row["seconds"] for row in found), 3),
        "core_seconds": round(spent / len(found), 3),
        "an_hour": round(3600 * len(found) / seconds),
    }


def measure_peer(epochs: int, cores: int, runs: int) -> dict[str, Any]:
    """PyG's runs, in one process a core that begin together."""
    with ExitStack() as stack:
        asked = {"epochs": epochs, "runs": runs}
        children = [stack.enter_context(Child(MODULE, asked, environment("default", 1))) for _ in range(cores)]
        answers = [child.hear() for child in children]
    seconds = max(each["ended"] for each in answers) - min(each["began"] for each in answers)
    count = runs * cores
    return {
        "variant": BASE,
        "runs": count,
        "workers": cores,
        "seconds": round(seconds, 1),
        "one": round(statistics.median(each["seconds"] / runs for each in answers), 3),
        "core_seconds": round(sum(each["processor"] for each in answers) / count, 3),
        "an_hour": round(3600 * count / seconds),
    }


def spec_of(scheme: str, epochs: int) -> dict[str, Any]:
    return {"dataset": "cora", "model": "gcn", "scheme": scheme, "training": {"epochs": epochs}, "device": "cpu"}


def _sweep(home: Path, scheme: str, runs: int, epochs: int) -> list[dict[str, Any]]:
    """Launch as many seeds and wait for them: what the store has of each. Raises BitfrontError where one failed."""
    file = home / f"{scheme}.toml"
    spec = spec_of(scheme, epochs)
    training = spec.pop("training")
    lines = ["[spec]", *(f"{key} = {json.dumps(value)}" for key, value in spec.items())]
    lines += ["[spec.training]", *(f"{key} = {value}" for key, value in training.items())]
    file.write_text("\n".join(lines) + "\n")
    _bitfront(home, "sweep", str(file), "--wait", "--seeds", str(runs), "--json")
    rows = json.loads(_bitfront(home, "export", "--format", "json"))
    found = [row for row in rows if row["scheme"] == scheme]
    if len(found) < runs or any(row["state"] != "finished" for row in found):
        raise BitfrontError(f"of {runs} runs of {scheme} {sum(row['state'] == 'finished' for row in found)} finished")
    return found


def _environment(home: Path) -> dict[str, str]:
    named = {"BITFRONT_HOME": str(home), "BITFRONT_DATA": str(Settings().data_root.absolute())}
    found = {key: value for key, value in os.environ.items() if key not in ("REDIS_URL", "BITFRONT_STORE_URL")}
    return found | named


def _bitfront(home: Path, *arguments: str) -> str:
    done = subprocess.run([*COMMAND, *arguments], env=_environment(home), capture_output=True, text=True, check=False)
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise BitfrontError(f"the bench failed on bitfront {arguments[0]}: {words[-1]}")
    return done.stdout


@contextmanager
def _stack(home: Path, workers: int) -> Iterator[psutil.Process]:
    """`bitfront up`, without a dashboard, from when all of it answers until the block ends."""
    home.mkdir(parents=True)
    command = [*COMMAND, "up", "--workers", str(workers), "--port", "0", "--no-dashboard"]
    with (home / "up.txt").open("w") as out:
        process = subprocess.Popen(command, env=_environment(home), stdout=out, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not (home / "run" / "endpoints.json").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                words = (home / "up.txt").read_text().strip().splitlines() or ["it said nothing"]
                raise BitfrontError(f"bitfront up does not start: {words[-1]}")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()


def _processor_seconds(stack: psutil.Process) -> float:
    """What a process and its descendants, the ended ones among them, have taken of the processor."""
    total = 0.0
    for process in (stack, *stack.children(recursive=True)):
        with suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _answer(asked: dict[str, Any]) -> Mapping[str, Any]:
    train = prepare_peer(RunSpec.parse(spec_of("fp32", asked["epochs"])))
    train(2)  # what torch does once
    began, processor = time.time(), time.process_time()
    for _ in range(asked["runs"]):
        train(asked["epochs"])
    ended = time.time()
    return {"began": began, "ended": ended, "seconds": ended - began, "processor": time.process_time() - processor}


def prepare_peer(spec: RunSpec) -> Any:
    """A run of PyG's own layers as a function of its epochs, with the data at hand: gives the last test accuracy."""
    import torch

    from engine.bench.peers import PyGStack
    from engine.graph import load_graph
    from engine.objectives import OBJECTIVES

    torch.set_num_threads(1)
    graph = load_graph(spec.dataset, Settings())
    problem: Any = OBJECTIVES[spec.task.name].prepare(spec.task, graph, spec, torch.device("cpu"))
    training = spec.training
    batch = next(iter(problem.batches(1)))

    def train(epochs: int) -> float:
        model = PyGStack(spec.model, problem.size)
        optimizer = torch.optim.Adam(model.parameters(), lr=training.lr, weight_decay=training.weight_decay)
        score = 0.0
        for _ in range(epochs):
            model.train()
            optimizer.zero_grad()
            problem.loss(model(graph.x, graph.edge_index), batch).backward()
            optimizer.step()
            model.eval()
            with torch.no_grad():
                _, scores = problem.evaluate(lambda *_: model(graph.x, graph.edge_index))
            score = scores["test"] or 0.0
        return score

    return train


if __name__ == "__main__":
    answer(_answer)
