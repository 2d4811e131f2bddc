"""One attempt of a run, from the claim to the event that ends it.

It goes on from the last checkpoint of the attempt before it, bit for bit, and a run that finishes leaves the model of
its best epoch beside its checkpoints (engine.artifacts). Whatever happens, it leaves either one
terminal event, or a lease that runs out (its worker died) or was given back (its worker was stopped), and then the
dispatcher starts the next attempt.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis
from redis.exceptions import RedisError

from engine.errors import BitfrontError
from engine.events import (
    TERMINAL,
    Body,
    EpochFinished,
    History,
    RunCancelled,
    RunFailed,
    RunStarted,
)
from engine.spec import RunSpec
from tasks.artifacts import Remote, note_unsent, send
from tasks.checkpoints import Checkpoints
from tasks.lease import Claim, Lease
from tasks.limits import Limits
from tasks.log import logger
from tasks.outcome import Left, Outcome, Verdict
from tasks.publisher import Publisher
from tasks.spool import Spool
from tasks.watch import Watch

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint
    from engine.training import Training

Stepped = Callable[[int, int], None]
Begin = Callable[[RunSpec, "Checkpoint | None", Stepped], "Training"]
"""Makes the training of a spec, from its beginning or from a checkpoint; its steps are told."""


class Attempt:
    """Trains one attempt. ``begin`` makes the engine's iterator of events; ``redis`` is a patient client, ``pulse`` one
    that tries once; ``remote``: the store's folder of artifacts, for who has this lease."""

    def __init__(
        self,
        redis: Redis,
        pulse: Redis,
        run: str,
        attempt: int,
        worker: str,
        begin: Begin,
        checkpoints: Checkpoints,
        remote: Callable[[str], Remote],
        limits: Limits | None = None,
        spool: Spool | None = None,
    ) -> None:
        self.run, self.attempt, self.worker, self.begin = run, attempt, worker, begin
        self.limits = limits or Limits()
        self.lease = Lease(redis, run, attempt, worker)
        heart = Lease(pulse, run, attempt, worker)
        heart.token = self.lease.token
        self.publisher = Publisher(pulse, run, attempt, spool)
        self.watch = Watch(pulse, heart, self.limits, self.publisher, self._force)
        self.remote = remote(self.lease.token)
        self.checkpoints = checkpoints
        checkpoints.remote = self.remote
        self.epochs: list[EpochFinished] = []
        self.training: Training | None = None
        self._ending = threading.Lock()
        """Taken by whoever says how the run ends, and never given back."""
        self._log = logger.bind(run=run, attempt=attempt)

    def carry_out(self, spec: str) -> Outcome:
        """Claim the run, train it, say how it ended. ``spec``: the RunSpec as JSON."""
        claim = self.lease.claim()
        if claim is Claim.REFUSED:
            self._log.info("message ignored: the run is held, or this attempt was claimed before")
            return Outcome.REFUSED
        if claim is Claim.CANCELLED:
            self.publisher.end(RunCancelled())
            self._log.info("cancelled before it began")
            return Outcome.CANCELLED
        started = time.monotonic()
        with self.watch.on_duty(), self.limits.enforced():
            try:
                outcome = self._train(spec)
            except BaseException:  # the process is told to exit in the middle of an epoch
                self.publisher.flush()
                self._release(give_back=True)
                raise
            self._release(give_back=outcome is Outcome.GIVEN_BACK)
        self._log.info(outcome.value, epochs=len(self.epochs), seconds=round(time.monotonic() - started, 2))
        return outcome

    def _release(self, *, give_back: bool) -> None:
        with suppress(RedisError):  # then it runs out
            self.watch.lease.release(give_back=give_back)

    def _train(self, text: str) -> Outcome:
        try:
            spec = RunSpec.from_json(text)
            self._log.info(
                "started", dataset=spec.dataset.name, model=spec.model.name, scheme=spec.scheme, seed=spec.seed
            )
            kept = self.checkpoints.newest()
            if kept is not None:
                self._log.info("goes on from a checkpoint", epoch=kept.epoch)
                self.watch.trained_before = kept.state["elapsed"]
            self.training = training = self.begin(spec, kept, self._stepped)
            for body in self._bodies(training):
                if isinstance(body, RunStarted):
                    body = body.model_copy(update={"worker": self.worker})
                elif isinstance(body, EpochFinished):
                    self.epochs.append(body)
                if isinstance(body, TERMINAL):
                    self._save(training)
                    return self._end(body, Outcome.FINISHED)
                self.publisher.publish(body)
                if isinstance(body, EpochFinished):
                    self._stepped()
            raise RuntimeError("the training ended without a result")
        except Left:
            return self._leave()
        except BitfrontError as error:
            self._log.warning("failed", reason=str(error))
            return self._end(RunFailed(reason=str(error), history=self._history()), Outcome.FAILED)
        except Exception as error:
            if why := self.limits.explain(error):
                self._log.warning("failed", reason=why)
                return self._end(RunFailed(reason=why, history=self._history()), Outcome.FAILED, resumable=True)
            self._log.exception("failed")
            reason = f"internal error: {type(error).__name__}: {error}"
            return self._end(RunFailed(reason=reason, history=self._history()), Outcome.FAILED)

    def _bodies(self, training: Training) -> Iterator[Body]:
        """What the training says; while it works it may be interrupted."""
        events = iter(training)
        while True:
            with self.watch.interruptible():
                body = next(events, None)
            if body is None:
                return
            yield body

    def _stepped(self, *_: int) -> None:
        """Between two steps, or two epochs: keep the state where that is due, and leave where there is a verdict."""
        training, verdict = self.training, self.watch.verdict
        assert training is not None
        if verdict is None:
            self.checkpoints.keep(training)
            return
        if verdict.keeps and not self.watch.is_lost:
            self.checkpoints.keep(training, now=True)
        raise Left

    def _leave(self) -> Outcome:
        verdict = self.watch.verdict
        assert verdict is not None
        if verdict.outcome is Outcome.GIVEN_BACK:
            self.publisher.flush()
            return verdict.outcome
        if verdict.outcome is Outcome.LOST:
            self._log.warning("a newer attempt has the run: this one stops")
            return verdict.outcome
        return self._end(self._told(verdict), verdict.outcome, resumable=True)

    def _told(self, verdict: Verdict) -> RunFailed | RunCancelled:
        if verdict.outcome is Outcome.FAILED:
            return RunFailed(reason=verdict.reason, history=self._history())
        return RunCancelled(history=self._history())

    def _force(self, verdict: Verdict) -> None:
        """End a step that does not end, and this process with it: called beside the training's thread."""
        if not self._ending.acquire(blocking=False):
            return
        self._log.warning("its step is ended by force", how=verdict.outcome.value)
        if verdict.outcome is Outcome.GIVEN_BACK:
            self.publisher.flush()
        else:
            self.publisher.end(self._told(verdict))
        self._release(give_back=verdict.outcome is Outcome.GIVEN_BACK)
        os.kill(os.getpid(), signal.SIGKILL)

    def _save(self, training: Training) -> None:
        """Leave the best epoch's model, and say so before the run's end. Whatever is wrong costs only the model."""
        from engine.artifacts.saving import save_for_run

        if self.watch.is_lost:
            return
        folder = self.checkpoints.folder / str(self.attempt)
        try:
            said = save_for_run(training.result(), folder)
            self._send([folder / saved.name for saved in said])
            for saved in said:
                self.publisher.publish(saved)
        except BitfrontError as error:
            self._log.warning("the model could not be saved", reason=str(error))
        except Exception:
            self._log.exception("the model could not be saved")

    def _send(self, files: list[Path]) -> None:
        """To the store's machine, where that is another; where it cannot be sent now, it is sent later."""
        try:
            send(self.remote, files)
        except BitfrontError as error:
            self._log.warning("the model waits on this machine for the store to take it", reason=str(error))
            try:
                note_unsent(self.remote.settings, self.run, self.attempt, files)
            except OSError as fault:
                self._log.warning("the model stays on this machine", reason=str(fault))

    def _history(self) -> History:
        return History.of(self.epochs)

    def _end(self, body: RunFailed | RunCancelled | Body, outcome: Outcome, *, resumable: bool = False) -> Outcome:
        """Say how the run ends; what it could go on from is kept where a person may want that."""
        if self.watch.is_lost or not self._ending.acquire(blocking=False):
            return Outcome.LOST
        if not self.publisher.end(body, lambda: self.watch.told):
            self._log.error("the end of the run waits in the spool: the queue does not answer")
            return Outcome.LOST
        if not resumable:
            self.checkpoints.clear()
        return outcome
