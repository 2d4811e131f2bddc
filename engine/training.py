"""The training loop: a generator of typed events that knows no scheme and no server.

for event in engine.train(RunSpec(dataset="cora", model="gcn", scheme="int8")):
    ...
"""

from __future__ import annotations

import copy
import os
import platform
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any, Protocol

import torch

from engine.checkpoint import Checkpoint
from engine.code_version import code_version
from engine.compiled.trainer import CompiledTrainer
from engine.counted_size import counted_size
from engine.diagnostics import epochs_to_record
from engine.errors import RunError
from engine.events import (
    Body,
    Densities,
    EpochFinished,
    History,
    LedgerRecorded,
    LedgerRow,
    RunFinished,
    RunStarted,
    Summary,
)
from engine.graph import warm_graph
from engine.ledger import all_densities, run_ledger
from engine.ledger.figures import run_figures
from engine.live import LiveScheme
from engine.measure import peak_memory, reset_peak_memory
from engine.objectives import OBJECTIVES
from engine.precision import Precision
from engine.problem import SPLITS
from engine.settings import Settings
from engine.signals import SignalLog
from engine.spec import RunSpec
from engine.starting import start
from engine.trained import BestModel, TrainedModel
from engine.trainer import Trainer

SIZE_FIELDS = ("nodes", "edges", "features", "classes", "graphs", "batches", "loops", "degrees")
"""What a run says of the size that it trains on: enough for the products of an epoch, and for degree buckets."""


@dataclass(frozen=True)
class RunResult:
    """What ``engine.run`` returns: the spec, its summary, the per-epoch table, the ledger, the best epoch's model."""

    spec: RunSpec
    summary: Summary
    history: History
    ledger: list[LedgerRow]
    provenance: dict[str, Any]
    model: TrainedModel


def run(spec: RunSpec, settings: Settings | None = None) -> RunResult:
    """Train to the end. Raises RunError with the reason where the run fails."""
    training = Training(spec, settings)
    for _ in training:
        pass
    return training.result()


def choose_device(asked: str) -> torch.device:
    """The device of a run. RunError where CUDA is asked for and absent."""
    if asked == "cuda" and not torch.cuda.is_available():
        raise RunError("device = 'cuda' is asked for, but this machine has no usable CUDA device: use 'cpu' or 'auto'")
    return torch.device("cuda" if asked != "cpu" and torch.cuda.is_available() else "cpu")


def train(spec: RunSpec, settings: Settings | None = None) -> Iterator[Body]:
    """Yield RunStarted, LedgerRecorded, then what each epoch says (``Training``), and RunFinished.

    The same spec on the same machine gives the same numbers, bit for bit. Raises RunError where the
    data cannot be had or the loss is no longer finite (after yielding that epoch).
    """
    yield from Training(spec, settings)


class Training:
    """One run: an iterator of events, which can be left after any step and taken up again from its checkpoint.

    An epoch says EpochFinished, DiagnosticsRecorded after a few, and PrecisionChanged where the next one has other
    formats. ``resume``: go on after a checkpoint's last epoch, bit for bit as if the run had not been left; what it
    had said before comes first. ``stepped`` hears of each step: its number in the epoch, from 1, and how many the
    epoch has; it may ask for a checkpoint, and leave by an exception. Compiled epochs say only their events.
    Raises RunError where the checkpoint is another spec's.
    """

    def __init__(
        self,
        spec: RunSpec,
        settings: Settings | None = None,
        *,
        resume: Checkpoint | None = None,
        stepped: Callable[[int, int], None] | None = None,
    ) -> None:
        if resume is not None and resume.spec != spec:
            raise RunError("the checkpoint belongs to another run: resume with the spec that it was made with")
        self.spec, self.settings, self.resume, self.stepped = spec, settings or Settings(), resume, stepped
        self.said: list[Body] = []
        self.rows: list[EpochFinished] = []
        self.elapsed = 0.0
        self._phase = 0
        self._bits = 32.0
        self._started: RunStarted | None = None
        self._finished: RunFinished | None = None
        self._ledger: list[LedgerRow] = []

    def __iter__(self) -> Iterator[Body]:
        spec, settings = self.spec, self.settings
        device = choose_device(spec.device)
        torch.set_num_threads(settings.threads)
        graph = warm_graph(spec.dataset, settings)
        problem = OBJECTIVES[spec.task.name].prepare(spec.task, graph, spec, device)
        self.problem = problem
        size = counted_size(spec, problem)
        kind = CompiledTrainer if settings.compiled else Trainer
        self.trainer = trainer = kind(spec, problem, device, self.stepped)
        if spec.training.start_from and self.resume is None:
            start(trainer.model, spec, settings)
        self.best = BestModel(higher_is_better=problem.higher_is_better)
        phases = spec.phases
        total = sum(phase.epochs or 0 for phase in phases)
        self.precision = Precision(spec, trainer.live, size, epochs=total, plateau_ratio=spec.plateau_ratio)
        self.signals = SignalLog(self.precision.window)
        self._started = RunStarted(
            worker="",
            host=socket.gethostname(),
            pid=os.getpid(),
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            total_epochs=total,
            provenance={
                "metric": problem.metric,
                "unit": problem.unit,
                "higher_is_better": problem.higher_is_better,
                "batches": problem.size.batches,
                "trained_on": {name: getattr(size, name) for name in SIZE_FIELDS},
                "phases": [{"name": phase.name, "epochs": phase.epochs} for phase in phases],
                "epochs": "compiled" if trainer.why_plain is None else f"plain: {trainer.why_plain}",
                **graph.provenance,
                **software(),
            },
        )
        yield self._started
        yield LedgerRecorded(rows=run_ledger(spec, size))
        if self.resume is not None:
            self._restore(self.resume)
            yield from self.said

        reset_peak_memory()
        began, before = time.perf_counter(), self.elapsed
        to_record = epochs_to_record(total) if spec.parsed_scheme.rules else frozenset[int]()
        last = 0
        for index, phase in enumerate(phases):
            first, last = last + 1, last + (phase.epochs or 0)
            if len(self.rows) >= last:
                continue
            entered = index == self._phase and (trainer.partial is not None or (first == 1 and self.said))
            if len(self.rows) < first and not entered:
                self._phase = index
                trainer.enter(phase, first)
                yield from self._say(self.precision.enter(phase, first))
            while len(self.rows) < last:
                epoch = max(first, len(self.rows) + 1)
                record = epoch in to_record and phase.quantized
                # An epoch that is looked into is done alone.
                until = min([last, *(each - 1 for each in to_record if each > epoch)]) if phase.quantized else last
                heard = self._epochs(epoch, self.precision.settled_until(epoch, until), record=record)
                self.elapsed = before + time.perf_counter() - began
                # All of it is known before any of it is said, so that a checkpoint between two events is whole.
                yield from self._say(heard)
                self._check_finite(self.rows[-1])
        # Formats that were learned, and when precision rose, are known only now.
        best = best_of(self.rows, problem).epoch
        self._ledger = ledger = run_ledger(spec, size, trainer.live, self.precision.stretches, self._learned_by(best))
        if trainer.live.learns_formats or self.precision.course is not None:
            yield LedgerRecorded(rows=ledger)
        self._finished = RunFinished(
            summary=summarize(
                self.rows,
                problem,
                densities=all_densities(ledger, spec.parsed_scheme, best),
                figures=run_figures(ledger, epoch=best, batches=problem.size.batches),
                seconds=before + time.perf_counter() - began,
                peak=peak_memory(),
                parameters=sum(p.numel() for p in trainer.model.parameters()),
            ),
            history=History.of(self.rows),
        )
        yield self._finished

    def result(self) -> RunResult:
        """The finished run. Raises RunError before its last event."""
        if self._finished is None or self._started is None:
            raise RunError("there is no result before the run has finished: ask after its last event")
        model = self.best.trained(self.spec, self.problem.size, self.problem.measure.scaling)
        summary, history = self._finished.summary, self._finished.history
        return RunResult(self.spec, summary, history, self._ledger, self._started.provenance, model)

    def _learned_by(self, best: int) -> tuple[int, LiveScheme] | None:
        """The best epoch with the live scheme of its model; None where nothing is learned, or the last is the best."""
        if not self.trainer.live.learns_formats or best == len(self.rows):
            return None
        _, live = self.best.trained(self.spec, self.problem.size, self.problem.measure.scaling).build()
        return best, live

    def _epochs(self, first: int, last: int, *, record: bool) -> list[Body]:
        """What the epoch ``first`` says, and those after it that the trainer has done with it, at most to ``last``."""
        # Learned formats are those of the epoch's beginning, wherever in it the run was left.
        bits = self._bits if self.trainer.partial is not None else self.precision.bits
        self._bits = bits
        found: list[Body] = []
        done = self.trainer.train(first, last, self.best, self.signals.diversity, record=record)
        for trained in done:
            row = trained.row
            signals = self.signals.hear(row.epoch, row.train_loss, row.val_loss, trained.diversity)
            row = row.model_copy(
                update={
                    "loss_ratio": signals.loss_ratio,
                    "gradient_diversity": signals.gradient_diversity,
                    "validation_stall": signals.validation_stall,
                    "average_bits": bits,
                }
            )
            self.rows.append(row)
            found += [row] if trained.diagnostics is None else [row, trained.diagnostics]
            changed = self.precision.after(signals)
            assert not changed or trained is done[-1], "formats change after the last of the epochs that share them"
            found += changed
        return found

    def _say(self, bodies: Iterable[Body]) -> Iterator[Body]:
        found = list(bodies)
        self.said += found
        yield from found

    def _check_finite(self, row: EpochFinished) -> None:
        for split, value in zip(SPLITS, (row.train_loss, row.val_loss, row.test_loss), strict=True):
            if value is None and split not in self.trainer.empty:
                raise RunError(
                    f"the {split} loss is no longer a finite number at epoch {row.epoch}: "
                    f"lower training.lr (now {self.spec.training.lr:g}) or use a wider format (now {self.spec.scheme})"
                )

    def checkpoint(self) -> Checkpoint:
        """The run as it stands after the last epoch that was said, or within ``stepped`` after the step that it hears
        of, in copies that training does not change."""
        if not hasattr(self, "trainer"):
            raise RunError("there is no checkpoint before the run has started: ask after its first event")
        state = {
            "epoch": len(self.rows),
            "phase": self._phase,
            "elapsed": self.elapsed,
            "bits": self._bits,
            "trainer": self.trainer.state(),
            "signals": self.signals.state(),
            "precision": self.precision.state(),
            "best": self.best.state(),
        }
        return Checkpoint(self.spec, copy.deepcopy(state), list(self.said))

    def _restore(self, checkpoint: Checkpoint) -> None:
        state = copy.deepcopy(checkpoint.state)
        self.said = list(checkpoint.said)
        self.rows = [body for body in self.said if isinstance(body, EpochFinished)]
        self.elapsed, self._phase, self._bits = state["elapsed"], state["phase"], state["bits"]
        phases = self.spec.phases
        first = 1 + sum(phase.epochs or 0 for phase in phases[: self._phase])
        self.trainer.enter(phases[self._phase], first)
        self.precision.restore(state["precision"])
        self.trainer.restore(state["trainer"])
        self.signals.restore(state["signals"])
        self.best.restore(state["best"])


class Measured(Protocol):
    """What is said of a metric: its name, its unit, and which way is better."""

    @property
    def metric(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def higher_is_better(self) -> bool: ...


def best_of(epochs: list[EpochFinished], problem: Measured) -> EpochFinished:
    """The first epoch of the best validation metric, among those that count; the last one where nothing validates."""
    sign = 1 if problem.higher_is_better else -1
    counted = [row for row in epochs if row.counts]
    judged = [row for row in counted if row.val_metric is not None] or counted[-1:]
    return max(judged, key=lambda row: (sign * (row.val_metric or 0.0), -row.epoch))


def summarize(
    epochs: list[EpochFinished],
    problem: Measured,
    *,
    densities: list[Densities],
    figures: Mapping[str, float | None] | None = None,
    seconds: float,
    peak: int,
    parameters: int,
) -> Summary:
    """The three selections and the rest of a finished run's row.

    Best validation is the headline: the first epoch of the best validation metric, among those that count; the last
    one where nothing validates. The best test epoch is stored beside it and never selected by.
    """
    sign = 1 if problem.higher_is_better else -1
    total = len(epochs)
    epochs = [row for row in epochs if row.counts]
    best = best_of(epochs, problem)
    tested = [row.test_metric for row in epochs if row.test_metric is not None]
    return Summary(
        metric=problem.metric,
        unit=problem.unit,
        higher_is_better=problem.higher_is_better,
        epochs=total,
        best_epoch=best.epoch,
        val_best=best.val_metric,
        test_at_best_val=best.test_metric,
        test_last=epochs[-1].test_metric,
        test_max=sign * max(sign * value for value in tested) if tested else None,
        also=best.also,
        densities=densities,
        figures=dict(figures or {}),
        seconds=seconds,
        peak_memory=peak,
        parameters=parameters,
    )


def software() -> dict[str, Any]:
    """Versions that a result depends on."""
    return {
        "code": code_version(),
        "packages": dict(_packages()),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
    }


@cache
def _packages() -> tuple[tuple[str, str], ...]:
    names = ("bitfront", "torch", "torch_geometric", "numpy", "numba")
    return tuple((name, metadata.version(name)) for name in names)
