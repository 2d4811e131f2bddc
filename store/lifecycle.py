"""What an event does to a run: the rules of a run's life, in memory, with no database.

The runs and attempts that a batch names go in, events are folded one by one, and the changed rows come
out for ``store.ingest`` to write in bulk. The rules:

- ``RunQueued`` makes a run, once. ``CancelRequested`` cancels a queued run and marks a running one for its
  worker to end; a local run, which no worker has, is cancelled at once.
- Within an attempt, seq = last + 1 is applied, seq ≤ last is dropped, and a jump marks a gap.
- An epoch that does not count (its phase only prepares) is progress, and is never selected.
- The first event of a newer attempt replaces what the older one left; events of older attempts are dropped.
- A terminal event ends the run; its history heals a gap. Nothing changes a run after that, but ``ResumeRequested``:
  it queues a cancelled or failed run again, for another attempt; what its ended attempt may still say is dropped.
- The events of a search change no run: they are handed on (store.searches).
- A sweep's launch says which runs stand for its cells; a newer launch replaces an older one.
- A measurement, whenever it comes, replaces an older one and changes no state.
- A terminal event with attempt 0 or seq 0, or as the only event of a newer attempt and without a history, is a
  verdict from outside (the dispatcher gives up; a claimed run turns out to be cancelled): it ends the run and
  leaves its epochs as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from engine.datasets import DATASETS
from engine.events import (
    ArtifactSaved,
    CancelRequested,
    DiagnosticsRecorded,
    Envelope,
    EpochFinished,
    LedgerRecorded,
    OfSearch,
    PrecisionChanged,
    ResumeRequested,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunMeasured,
    RunQueued,
    RunStarted,
    SweepLaunched,
    WorkerHeartbeat,
)
from engine.objectives import OBJECTIVES
from engine.spec import group_of

_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

UNFINISHED = ("queued", "running", "cancelling")
"""States from which a run still goes on."""


class UnfitEventError(Exception):
    """The event cannot be applied, for the reason given: it becomes a dead letter."""


@dataclass
class Run:
    """What the rules need of a row of `runs`."""

    run: str
    state: str
    origin: str
    metric: str | None
    unit: str | None
    higher_is_better: bool
    synthetic: bool
    caveat: str | None
    attempt: int = 0
    attempts: int = 0
    dropped: int = 0
    ended_at: datetime | None = None
    reason: str | None = None

    def learn(self, provenance: dict[str, Any]) -> None:
        """Take over what the trained data turned out to be."""
        self.metric = provenance.get("metric") or self.metric
        self.unit = provenance.get("unit") or self.unit
        self.higher_is_better = bool(provenance.get("higher_is_better", self.higher_is_better))
        self.synthetic = bool(provenance.get("synthetic", self.synthetic))
        self.caveat = provenance.get("caveat") or self.caveat


@dataclass
class Attempt:
    """A row of `attempts`."""

    run: str
    attempt: int
    heard_at: datetime
    state: str = "running"
    seq: int = 0
    gap: bool = False
    healed: bool = False
    worker: str | None = None
    host: str | None = None
    pid: int | None = None
    device: str | None = None
    provenance: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    total_epochs: int | None = None
    epoch: int = 0
    train_loss: float | None = None
    val_loss: float | None = None
    test_loss: float | None = None
    train_metric: float | None = None
    val_metric: float | None = None
    test_metric: float | None = None
    epochs: int = 0
    seconds: float = 0.0
    best_epoch: int | None = None
    best_val: float | None = None
    test_at_best_val: float | None = None
    test_max: float | None = None

    def forget_epochs(self) -> None:
        """Back to no epoch at all, before a history fills them in."""
        for row in fields(Attempt)[_FIRST_EPOCH_FIELD:]:
            setattr(self, row.name, row.default)

    def add_epoch(self, row: EpochFinished, higher_is_better: bool) -> None:
        self.epoch, self.epochs = row.epoch, self.epochs + 1
        self.train_loss, self.val_loss, self.test_loss = row.train_loss, row.val_loss, row.test_loss
        self.train_metric, self.val_metric, self.test_metric = row.train_metric, row.val_metric, row.test_metric
        self.seconds += row.seconds or 0.0
        if not row.counts:
            return
        if _better(row.val_metric, self.best_val, higher_is_better):
            self.best_epoch, self.best_val, self.test_at_best_val = row.epoch, row.val_metric, row.test_metric
        if _better(row.test_metric, self.test_max, higher_is_better):
            self.test_max = row.test_metric


_GIVEN = [row.name for row in fields(Run) if row.default is MISSING]
"""The fields of a Run that its RunQueued gives."""
_FIRST_EPOCH_FIELD = [row.name for row in fields(Attempt)].index("epoch")


def _better(new: float | None, old: float | None, higher: bool) -> bool:
    return new is not None and (old is None or (new > old if higher else new < old))


@dataclass
class Changes:
    """What a batch of events changed, table by table."""

    new_runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: set[str] = field(default_factory=set)
    """Runs (old ones) whose row changed."""
    attempts: dict[tuple[str, int], Attempt] = field(default_factory=dict)
    replaced: set[str] = field(default_factory=set)
    """Runs whose stored epochs go before the new ones are written."""
    restarted: set[str] = field(default_factory=set)
    """Runs whose stored precision, diagnostics, ledger and artifacts go too."""
    epochs: dict[str, list[EpochFinished]] = field(default_factory=dict)
    precision: dict[str, list[PrecisionChanged]] = field(default_factory=dict)
    diagnostics: dict[str, list[DiagnosticsRecorded]] = field(default_factory=dict)
    ledger: dict[str, LedgerRecorded] = field(default_factory=dict)
    artifacts: dict[str, list[ArtifactSaved]] = field(default_factory=dict)
    measured: dict[str, tuple[datetime, RunMeasured]] = field(default_factory=dict)
    finished: dict[str, RunFinished] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    workers: dict[str, dict[str, Any]] = field(default_factory=dict)
    searches: list[tuple[str, datetime, OfSearch]] = field(default_factory=list)
    """What was said of which search, and when."""
    sweeps: dict[str, tuple[datetime, SweepLaunched]] = field(default_factory=dict)


class Lifecycle:
    """Runs, newest attempts and workers, as events change them."""

    def __init__(
        self,
        runs: Iterable[Run],
        attempts: Iterable[Attempt],
        heartbeats: dict[str, datetime],
        now: datetime,
    ) -> None:
        self.runs = {run.run: run for run in runs}
        self.attempts = {attempt.run: attempt for attempt in attempts}
        self.heartbeats = heartbeats
        self.now = now
        self._heard = now
        self.changes = Changes()

    def apply(self, envelope: Envelope, heard: datetime | None = None) -> bool:
        """Fold one event. False: dropped by the rules. Raises UnfitEventError, and then nothing has changed.

        ``heard``: when it came, by the store's clock; None: when its sender says.
        """
        at = self._moment(envelope.at)
        self._heard = at if heard is None else heard
        body = envelope.body
        if isinstance(body, WorkerHeartbeat):
            return self._heartbeat(body)
        if isinstance(body, SweepLaunched):
            return self._launch(body, at)
        if isinstance(body, RunQueued):
            return self._queue(envelope, body, at)
        if isinstance(body, OfSearch):
            return self._of_search(envelope, body, at)
        run = self.runs.get(envelope.run)
        if run is None:
            raise UnfitEventError(f"unknown run {envelope.run!r}: its RunQueued never came, or it was deleted")
        if isinstance(body, CancelRequested):
            return self._cancel(run, at)
        if isinstance(body, RunMeasured):
            return self._measure(run, body, at)
        if isinstance(body, ResumeRequested):
            return self._resume(run)
        if run.state not in UNFINISHED:
            return self._drop(run)
        if isinstance(body, RunFinished | RunFailed | RunCancelled):
            return self._end(run, envelope, body, at)
        return self._progress(run, envelope, body, at)

    def _moment(self, at: float) -> datetime:
        """The sender's time in UTC, but never later than now: a clock that is ahead would hide a dead worker."""
        try:
            return min(datetime.fromtimestamp(at, UTC), self.now)
        except (OverflowError, ValueError, OSError):
            raise UnfitEventError(f"the event's time {at!r} is not a time") from None

    def _drop(self, run: Run) -> bool:
        run.dropped += 1
        self.changes.runs.add(run.run)
        return False

    def _heartbeat(self, body: WorkerHeartbeat) -> bool:
        at, known = self._heard, self.heartbeats.get(body.worker)
        if known is not None and at <= known <= self.now:  # one from the future is of a clock that was set back
            return False
        if body.worker:
            self.heartbeats[body.worker] = at
            self.changes.workers[body.worker] = body.model_dump(exclude={"type"}) | {"heard_at": at}
        attempt = self.attempts.get(body.current_run or "")
        if attempt is not None and attempt.attempt == body.current_attempt and attempt.state == "running":
            self._hear(attempt)
        return True

    def _queue(self, envelope: Envelope, body: RunQueued, at: datetime) -> bool:
        if not _RUN_ID.fullmatch(envelope.run) or envelope.run == "uploads":  # the folder beside the runs' own
            raise UnfitEventError(f"the run id {envelope.run!r} is not allowed: 1 to 64 letters, digits, - and _")
        if envelope.run in self.runs:
            return self._drop(self.runs[envelope.run])
        row = describe_spec(body.spec) | {
            "run": envelope.run,
            "priority": body.priority,
            "sweep": body.sweep,
            "origin": body.origin,
            "parent": body.parent,
            "submitted_at": at,
            "tags": [],
            "state": "queued",
        }
        self.changes.new_runs[envelope.run] = row
        self.runs[envelope.run] = Run(**{name: row[name] for name in _GIVEN})
        return True

    def _of_search(self, envelope: Envelope, body: OfSearch, at: datetime) -> bool:
        if not _RUN_ID.fullmatch(envelope.run):
            raise UnfitEventError(f"the search id {envelope.run!r} is not allowed: 1 to 64 letters, digits, - and _")
        self.changes.searches.append((envelope.run, at, body))
        return True

    def _launch(self, body: SweepLaunched, at: datetime) -> bool:
        known = self.changes.sweeps.get(body.sweep)
        if known is not None and at <= known[0]:
            return False
        self.changes.sweeps[body.sweep] = at, body
        return True

    def _cancel(self, run: Run, at: datetime) -> bool:
        if run.state == "queued" or (run.state == "running" and run.origin == "local"):
            self._finish(run, "cancelled", at, None)
        elif run.state == "running":
            run.state = "cancelling"
            self.changes.runs.add(run.run)
        else:
            return self._drop(run)
        return True

    def _resume(self, run: Run) -> bool:
        if run.state not in ("cancelled", "failed") or run.origin == "local":
            return self._drop(run)
        run.state, run.ended_at, run.reason = "queued", None, None
        self.changes.runs.add(run.run)
        self.changes.ended.add(run.run)  # its record goes: it is not over
        return True

    def _measure(self, run: Run, body: RunMeasured, at: datetime) -> bool:
        known = self.changes.measured.get(run.run)
        if known is not None and at <= known[0]:
            return self._drop(run)
        self.changes.measured[run.run] = at, body
        if run.state not in UNFINISHED:
            self.changes.ended.add(run.run)  # its record follows
        return True

    def _progress(self, run: Run, envelope: Envelope, body: Any, at: datetime) -> bool:
        if envelope.attempt < 1 or envelope.seq < 1:
            raise UnfitEventError(
                f"{body.type} needs an attempt and a seq from 1, not {envelope.attempt} and {envelope.seq}"
            )
        current = self.attempts.get(run.run)
        if self._is_old(run, current, envelope):
            return self._drop(run)
        fresh = envelope.attempt > run.attempt
        if isinstance(body, EpochFinished) and body.epoch <= (0 if fresh or current is None else current.epoch):
            last = 0 if fresh or current is None else current.epoch
            raise UnfitEventError(f"epoch {body.epoch} of attempt {envelope.attempt} came after epoch {last}")
        attempt = self._advance(run, envelope, at)
        if fresh:
            self._restart(run)
        if isinstance(body, RunStarted):
            attempt.worker, attempt.host, attempt.pid = body.worker, body.host, body.pid
            attempt.device, attempt.total_epochs, attempt.started_at = body.device, body.total_epochs, at
            attempt.provenance = json.dumps(body.provenance)
            run.learn(body.provenance)
            self.changes.runs.add(run.run)
        elif isinstance(body, EpochFinished):
            attempt.add_epoch(body, run.higher_is_better)
            self.changes.epochs.setdefault(run.run, []).append(body)
        elif isinstance(body, PrecisionChanged):
            self.changes.precision.setdefault(run.run, []).append(body)
        elif isinstance(body, DiagnosticsRecorded):
            self.changes.diagnostics.setdefault(run.run, []).append(body)
        elif isinstance(body, LedgerRecorded):
            self.changes.ledger[run.run] = body
        elif isinstance(body, ArtifactSaved):
            self.changes.artifacts.setdefault(run.run, []).append(body)
        return True

    def _end(self, run: Run, envelope: Envelope, body: RunFinished | RunFailed | RunCancelled, at: datetime) -> bool:
        fresh = envelope.attempt > run.attempt
        verdict = (
            envelope.attempt == 0 or envelope.seq == 0 or (fresh and envelope.seq == 1 and not body.history.columns)
        )
        current = None if fresh and not verdict else self.attempts.get(run.run)
        if not verdict and self._is_old(run, current, envelope):
            return self._drop(run)
        last = current.seq if current is not None else 0
        gap = (current is not None and current.gap) or (not verdict and envelope.seq > last + 1)
        history = _read_history(body) if gap else []  # where nothing is missing, the table has it already
        attempt = current if verdict else self._advance(run, envelope, at)
        state = {"run_finished": "finished", "run_failed": "failed", "run_cancelled": "cancelled"}[body.type]
        if fresh and not verdict:
            self._restart(run)
        if attempt is not None:
            if history:
                self._heal(attempt, history, run.higher_is_better)
            attempt.state, attempt.ended_at = state, at
            self._touch(attempt)
        if isinstance(body, RunFinished):
            self.changes.finished[run.run] = body
        self._finish(run, state, at, body.reason if isinstance(body, RunFailed) else None)
        return True

    def _is_old(self, run: Run, current: Attempt | None, envelope: Envelope) -> bool:
        if envelope.attempt != run.attempt:
            return envelope.attempt < run.attempt
        # An attempt that has ended is old where the run goes on (it was resumed).
        return current is not None and (envelope.seq <= current.seq or current.state != "running")

    def _advance(self, run: Run, envelope: Envelope, at: datetime) -> Attempt:
        """The attempt that the event belongs to, with its seq counted; a newer one replaces the older."""
        attempt = self.attempts.get(run.run)
        if attempt is None or envelope.attempt > run.attempt:
            if attempt is not None:
                attempt.state = "lost"
                self._touch(attempt)
            attempt = Attempt(run.run, envelope.attempt, self._heard, started_at=at)
            self.attempts[run.run] = attempt
            run.attempt, run.attempts = envelope.attempt, run.attempts + 1
            run.state = "cancelling" if run.state == "cancelling" else "running"
            self.changes.runs.add(run.run)
        attempt.gap = attempt.gap or envelope.seq > attempt.seq + 1
        attempt.seq = envelope.seq
        self._hear(attempt)
        return attempt

    def _hear(self, attempt: Attempt) -> None:
        """Something was said of it; a clock that was set back does not make it heard from in the future."""
        attempt.heard_at = max(min(attempt.heard_at, self.now), self._heard)
        self._touch(attempt)

    def _restart(self, run: Run) -> None:
        changes = self.changes
        changes.replaced.add(run.run)
        changes.restarted.add(run.run)
        changes.epochs.pop(run.run, None)
        changes.precision.pop(run.run, None)
        changes.diagnostics.pop(run.run, None)
        changes.ledger.pop(run.run, None)
        changes.artifacts.pop(run.run, None)

    def _heal(self, attempt: Attempt, history: list[EpochFinished], higher: bool) -> None:
        attempt.forget_epochs()
        for row in history:
            attempt.add_epoch(row, higher)
        self.changes.replaced.add(attempt.run)
        self.changes.epochs[attempt.run] = list(history)
        attempt.healed, attempt.gap = True, False

    def _finish(self, run: Run, state: str, at: datetime, reason: str | None) -> None:
        run.state, run.ended_at, run.reason = state, at, reason
        self.changes.runs.add(run.run)
        self.changes.ended.add(run.run)

    def _touch(self, attempt: Attempt) -> None:
        self.changes.attempts[attempt.run, attempt.attempt] = attempt


def _read_history(body: RunFinished | RunFailed | RunCancelled) -> list[EpochFinished]:
    try:
        history = body.history.rows()
    except ValueError as error:
        raise UnfitEventError(f"the history of {body.type} cannot be read: {error}") from None
    if any(later.epoch <= row.epoch for row, later in pairwise(history)):
        raise UnfitEventError(f"the epochs in the history of {body.type} do not ascend")
    return history


def describe_spec(spec: dict[str, Any]) -> dict[str, Any]:
    """The columns of `runs` that come from a spec, which must be a whole one (``RunSpec.to_json``).

    The group is ``RunSpec.group``, from the JSON itself, so that a run of a dataset or a recipe which is
    not installed where the store runs is kept all the same. Raises UnfitEventError.
    """
    try:
        dataset, model = spec["dataset"]["name"], spec["model"]["name"]
        row = {
            "spec": json.dumps(spec, sort_keys=True, separators=(",", ":")),
            "dataset": str(dataset),
            "model": str(model),
            "scheme": str(spec["scheme"]),
            "seed": int(spec["seed"]),
            "device": str(spec["device"]),
            "total_epochs": int(spec["training"]["epochs"]),
        }
    except (KeyError, TypeError, ValueError) as error:
        raise UnfitEventError(f"the spec is not a whole RunSpec: {type(error).__name__} {error}") from None
    entry = DATASETS.get(row["dataset"])
    task = (spec.get("task") or {}).get("name") or (entry.tasks[0] if entry else None)
    objective = OBJECTIVES.get(task)
    return row | {
        "group_id": group_of(spec),
        "metric": objective.metric if objective else None,
        "unit": objective.unit if objective else None,
        "higher_is_better": objective.higher_is_better if objective else True,
        "synthetic": bool(entry and entry.synthetic),
        "caveat": entry.caveat if entry else None,
    }
