"""The training loop: a generator of typed events that knows no scheme and no server.

for event in engine.train(RunSpec(dataset="cora", model="gcn", scheme="int8")):
    ...
"""

from __future__ import annotations

import math
import os
import platform
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol

import torch

from engine.datasets import DATASETS
from engine.diagnostics import epochs_to_record
from engine.errors import RunError
from engine.events import (
    Body,
    EpochFinished,
    History,
    LedgerRecorded,
    LedgerRow,
    RunFinished,
    RunStarted,
    Summary,
)
from engine.graph import load_graph
from engine.ledger import all_densities, run_ledger
from engine.measure import peak_memory, reset_peak_memory
from engine.objectives import OBJECTIVES
from engine.problem import SPLITS
from engine.settings import Settings
from engine.spec import RunSpec
from engine.trainer import Trainer


@dataclass(frozen=True)
class RunResult:
    """What ``engine.run`` returns: the spec, its summary, the per-epoch table and the ledger."""

    spec: RunSpec
    summary: Summary
    history: History
    ledger: list[LedgerRow]
    provenance: dict[str, Any]


def run(spec: RunSpec, settings: Settings | None = None) -> RunResult:
    """Train to the end. Raises RunError with the reason where the run fails."""
    ledger: list[LedgerRow] = []
    provenance: dict[str, Any] = {}
    for event in train(spec, settings):
        match event:
            case RunStarted():
                provenance = event.provenance
            case LedgerRecorded():
                ledger = event.rows
            case RunFinished():
                return RunResult(spec, event.summary, event.history, ledger, provenance)
    raise AssertionError("the training loop ends with RunFinished or raises")


def choose_device(asked: str) -> torch.device:
    """The device of a run. RunError where CUDA is asked for and absent."""
    if asked == "cuda" and not torch.cuda.is_available():
        raise RunError("device = 'cuda' is asked for, but this machine has no usable CUDA device: use 'cpu' or 'auto'")
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def train(spec: RunSpec, settings: Settings | None = None) -> Iterator[Body]:
    """Yield RunStarted, LedgerRecorded, an EpochFinished an epoch (diagnostics after a few), RunFinished.

    The same spec on the same machine gives the same numbers, bit for bit. Raises RunError where the
    data cannot be had or the loss is no longer finite (after yielding that epoch).
    """
    settings = settings or Settings()
    device = choose_device(spec.device)
    torch.set_num_threads(settings.threads)
    graph = load_graph(spec.dataset, settings)
    objective = OBJECTIVES[DATASETS[spec.dataset.name].task]
    problem = objective.prepare(objective.spec(name=objective.name), graph, spec, device)
    scheme = spec.parsed_scheme
    trainer = Trainer(spec, problem, device)
    phases = trainer.live.phases(spec.training.epochs)
    total = sum(phase.epochs or 0 for phase in phases)
    yield RunStarted(
        worker="",
        host=socket.gethostname(),
        pid=os.getpid(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        total_epochs=total,
        provenance={
            "metric": problem.metric,
            "unit": problem.unit,
            "higher_is_better": problem.higher_is_better,
            "phases": [{"name": phase.name, "epochs": phase.epochs} for phase in phases],
            **graph.provenance,
            **software(),
        },
    )
    yield LedgerRecorded(rows=run_ledger(spec, problem.size))

    reset_peak_memory()
    began = time.perf_counter()
    epochs: list[EpochFinished] = []
    to_record = epochs_to_record(total) if scheme.rules else frozenset()
    for phase in phases:
        trainer.enter(phase)
        for _ in range(phase.epochs or 0):
            epoch = len(epochs) + 1
            event, diagnostics = trainer.epoch(epoch, record=epoch in to_record and phase.quantized)
            epochs.append(event)
            yield event
            if diagnostics is not None:
                yield diagnostics
            for split, value in zip(SPLITS, (event.train_loss, event.val_loss, event.test_loss), strict=True):
                if value is None:
                    raise RunError(
                        f"the {split} loss is no longer a finite number at epoch {epoch}: "
                        f"lower training.lr (now {spec.training.lr:g}) or use a wider format (now {spec.scheme})"
                    )
    seconds = time.perf_counter() - began
    # Formats that were learned are known only now.
    ledger = run_ledger(spec, problem.size, trainer.live)
    if trainer.live.learns_formats:
        yield LedgerRecorded(rows=ledger)
    yield RunFinished(
        summary=summarize(
            epochs,
            problem,
            densities=all_densities(ledger, scheme),
            seconds=seconds,
            peak=peak_memory(),
            parameters=sum(p.numel() for p in trainer.model.parameters()),
        ),
        history=History.of(epochs),
    )


class Measured(Protocol):
    """What is said of a metric: its name, its unit, and which way is better."""

    @property
    def metric(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def higher_is_better(self) -> bool: ...


def summarize(
    epochs: list[EpochFinished], problem: Measured, *, densities, seconds: float, peak: int, parameters: int
) -> Summary:
    """The three selections and the rest of a finished run's row.

    Best validation is the headline: the first epoch of the best validation metric, among those that count.
    The best test epoch is stored beside it and never selected by.
    """
    sign = 1 if problem.higher_is_better else -1
    total = len(epochs)
    epochs = [row for row in epochs if row.counts]
    best = max(epochs, key=lambda row: (sign * _number(row.val_metric), -row.epoch))
    return Summary(
        metric=problem.metric,
        unit=problem.unit,
        higher_is_better=problem.higher_is_better,
        epochs=total,
        best_epoch=best.epoch,
        val_best=_number(best.val_metric),
        test_at_best_val=_number(best.test_metric),
        test_last=_number(epochs[-1].test_metric),
        test_max=sign * max(sign * _number(row.test_metric) for row in epochs),
        densities=densities,
        seconds=seconds,
        peak_memory=peak,
        parameters=parameters,
    )


def _number(value: float | None) -> float:
    return -math.inf if value is None else value


def software() -> dict[str, Any]:
    """Versions that a result depends on."""
    packages = ("bitfront", "torch", "torch_geometric", "numpy", "numba")
    return {
        "packages": {name: metadata.version(name) for name in packages},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
    }
