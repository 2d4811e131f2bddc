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
from typing import Any

import torch
from torch import Tensor

from engine.datasets import DATASETS
from engine.diagnostics import epochs_to_record
from engine.errors import RunError
from engine.events import (
    Body,
    DiagnosticsRecorded,
    EpochFinished,
    History,
    LedgerRecorded,
    LedgerRow,
    RunFinished,
    RunStarted,
    Summary,
)
from engine.graph import SPLITS, Graph, load_graph
from engine.layers.operand import Constant
from engine.ledger import all_densities, run_ledger
from engine.live import LiveScheme, bind
from engine.measure import peak_memory, reset_peak_memory
from engine.models import MODELS
from engine.objectives import OBJECTIVES, Objective
from engine.scheme import Phase
from engine.settings import Settings
from engine.spec import RunSpec


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
    scheme = spec.parsed_scheme
    trainer = _Trainer(spec, graph, objective, device)
    phases = trainer.live.phases(spec.training.epochs)
    total = sum(phase.epochs or 0 for phase in phases)
    yield RunStarted(
        worker="",
        host=socket.gethostname(),
        pid=os.getpid(),
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        total_epochs=total,
        provenance={
            "metric": objective.metric,
            "unit": objective.unit,
            "higher_is_better": objective.higher_is_better,
            "phases": [{"name": phase.name, "epochs": phase.epochs} for phase in phases],
            **graph.provenance,
            **software(),
        },
    )
    yield LedgerRecorded(rows=run_ledger(spec, graph.size))

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
    ledger = run_ledger(spec, graph.size, trainer.live)
    if trainer.live.learns_formats:
        yield LedgerRecorded(rows=ledger)
    yield RunFinished(
        summary=summarize(
            epochs,
            objective,
            densities=all_densities(ledger, scheme),
            seconds=seconds,
            peak=peak_memory(),
            parameters=sum(p.numel() for p in trainer.model.parameters()),
        ),
        history=History.of(epochs),
    )


class _Trainer:
    """Model, optimizer and data of one run; ``epoch`` takes one step and evaluates."""

    def __init__(self, spec: RunSpec, graph: Graph, objective: Objective, device: torch.device) -> None:
        self.spec, self.objective = spec, objective
        self.model = MODELS[spec.model.name].build(spec.model, graph.size)
        self.model.reset_parameters(spec.seed)  # pyright: ignore[reportCallIssue]
        self.model.to(device)
        self.live: LiveScheme = bind(spec.parsed_scheme, self.model, nodes=graph.size.nodes, seed=spec.seed).to(device)
        self.x = Constant.of(graph.x.to(device))
        self.topology = graph.topology.to(device)
        self.y = graph.y.to(device)
        self.masks = {split: graph.masks[split].to(device) for split in SPLITS}
        self.enter(Phase("train"))

    def enter(self, phase: Phase) -> None:
        """Begin a phase, with a fresh optimizer."""
        self.phase = phase
        self.live.enabled = phase.quantized
        training = self.spec.training
        self.optimizer = torch.optim.Adam(
            [{"params": list(self.model.parameters())}, *self.live.parameter_groups()],
            lr=training.lr,
            weight_decay=training.weight_decay,
        )

    def epoch(self, epoch: int, *, record: bool = False) -> tuple[EpochFinished, DiagnosticsRecorded | None]:
        began = time.perf_counter()
        diagnostics = None
        if record:
            with self.live.recording() as recorder:
                train_loss = self._step(epoch)
            diagnostics = DiagnosticsRecorded(epoch=epoch, rows=recorder.rows)
        else:
            train_loss = self._step(epoch)
        losses, scores = self._evaluate()
        event = EpochFinished(
            epoch=epoch,
            train_loss=train_loss,
            val_loss=losses["val"],
            test_loss=losses["test"],
            train_metric=scores["train"],
            val_metric=scores["val"],
            test_metric=scores["test"],
            seconds=time.perf_counter() - began,
            counts=self.phase.counts,
        )
        return event, diagnostics

    def _step(self, epoch: int) -> float:
        learns = self.phase.learns
        self.model.train(learns)
        self.live.train()
        self.live.begin(self.topology, seed=self.spec.seed, step=epoch)
        mask = self.masks["train"]
        with torch.set_grad_enabled(learns):
            outputs = self.model(self.x, self.topology, seed=self.spec.seed, step=epoch)
            loss = self.objective.loss(outputs[mask], self.y[mask])
        if learns:
            penalty = self.live.penalty() if self.phase.quantized else None
            self.optimizer.zero_grad()
            (loss if penalty is None else loss + penalty).backward()
            self.optimizer.step()
        return loss.item()

    @torch.no_grad()
    def _evaluate(self) -> tuple[dict[str, float], dict[str, float]]:
        self.model.eval()
        self.live.eval()
        self.live.begin(self.topology)
        outputs: Tensor = self.model(self.x, self.topology)
        losses, scores = {}, {}
        for split, mask in self.masks.items():
            part, target = outputs[mask], self.y[mask]
            losses[split] = self.objective.loss(part, target).item()
            scores[split] = self.objective.score(part, target).item()
        return losses, scores


def summarize(
    epochs: list[EpochFinished], objective: Objective, *, densities, seconds: float, peak: int, parameters: int
) -> Summary:
    """The three selections and the rest of a finished run's row.

    Best validation is the headline: the first epoch of the best validation metric, among those that count.
    The best test epoch is stored beside it and never selected by.
    """
    sign = 1 if objective.higher_is_better else -1
    total = len(epochs)
    epochs = [row for row in epochs if row.counts]
    best = max(epochs, key=lambda row: (sign * _number(row.val_metric), -row.epoch))
    return Summary(
        metric=objective.metric,
        unit=objective.unit,
        higher_is_better=objective.higher_is_better,
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
