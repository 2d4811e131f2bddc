"""One attempt of a run, from the claim to the event that ends it.

It goes on from the last checkpoint of the attempt before it, bit for bit, and a run that finishes leaves the model of
its best epoch beside its checkpoints (engine.artifacts). Whatever happens, it leaves either one
terminal event, or a lease that runs out (its worker died) or was given back (its worker was stopped), and then the
dispatcher starts the next attempt.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
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
from tasks import keys
from tasks.artifacts import Remote
from tasks.checkpoints import Checkpoints
from tasks.lease import Claim, Lease
from tasks.log import logger
from tasks.publisher import Publisher

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint
    from engine.training import Training

Begin = Callable[[RunSpec, "Checkpoint | None"], "Training"]
"""Makes the training of a spec, from its beginning or from a checkpoint."""

LOOK_SECONDS = 0.1
"""How often a running attempt looks whether it shall end."""
RENEW_SECONDS = keys.LEASE_SECONDS / 3


class Outcome(Enum):
    """How an attempt ended."""

    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUSED = "refused"
    """The message was a repetition: nothing was trained."""
    GIVEN_BACK = "given back"
    """The worker is being stopped: the run goes to another attempt."""
    LOST = "lost"
    """A newer attempt has the run: nothing more was said."""


class Attempt:
    """Trains one attempt. ``begin`` makes the engine's iterator of events; ``redis`` is a patient client, ``pulse`` a
    second one; ``remote``: the store's folder of artifacts, for who has this lease."""

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
    ) -> None:
        self.redis, self.run, self.attempt, self.worker, self.begin = redis, run, attempt, worker, begin
        self.checkpoints = checkpoints
        self.lease = Lease(redis, run, attempt, worker)
        self.heart = Lease(pulse, run, attempt, worker)
        self.heart.token = self.lease.token
        self.publisher = Publisher(redis, run, attempt)
        self.remote = remote(self.lease.token)
        self.epochs: list[EpochFinished] = []
        self._lost = threading.Event()
        self._looked = 0.0
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
        with self._renewed():
            try:
                outcome = self._train(spec)
            except BaseException:  # the process is told to exit in the middle of an epoch
                self.publisher.flush()
                self.lease.release(give_back=True)
                raise
            self.lease.release(give_back=outcome is Outcome.GIVEN_BACK)
        self._log.info(outcome.value, epochs=len(self.epochs), seconds=round(time.monotonic() - started, 2))
        return outcome

    def _train(self, text: str) -> Outcome:
        try:
            spec = RunSpec.from_json(text)
            self._log.info(
                "started", dataset=spec.dataset.name, model=spec.model.name, scheme=spec.scheme, seed=spec.seed
            )
            kept = self.checkpoints.newest()
            if kept is not None:
                self._log.info("goes on from a checkpoint", epoch=kept.epoch)
            training = self.begin(spec, kept)
            for body in training:
                if isinstance(body, RunStarted):
                    body = body.model_copy(update={"worker": self.worker})
                elif isinstance(body, EpochFinished):
                    self.epochs.append(body)
                if isinstance(body, TERMINAL):
                    self._save(training)
                    return self._end(body, Outcome.FINISHED)
                self.publisher.publish(body)
                ended = self._look()
                if ended is Outcome.CANCELLED:
                    return self._end(RunCancelled(history=self._history()), ended)
                if ended is not None:
                    if ended is Outcome.GIVEN_BACK:
                        self.checkpoints.keep(training, now=True)
                    self.publisher.flush()
                    return ended
                if isinstance(body, EpochFinished):
                    self.checkpoints.keep(training)
            raise RuntimeError("the training ended without a result")
        except BitfrontError as error:
            self._log.warning("failed", reason=str(error))
            return self._end(RunFailed(reason=str(error), history=self._history()), Outcome.FAILED)
        except Exception as error:
            self._log.exception("failed")
            reason = f"internal error: {type(error).__name__}: {error}"
            return self._end(RunFailed(reason=reason, history=self._history()), Outcome.FAILED)

    def _save(self, training: Training) -> None:
        """Leave the best epoch's model, and say so before the run's end. Whatever is wrong costs only the model."""
        from engine.artifacts.saving import save_for_run

        if self._lost.is_set():
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
        """To the store's machine, where that is another; else, or where it cannot be, they stay here."""
        try:
            if all(self.remote.put(file) for file in files):
                for file in files:
                    file.unlink()
        except BitfrontError as error:
            self._log.warning("the model stays on this machine", reason=str(error))

    def _history(self) -> History:
        return History.of(self.epochs)

    def _end(self, body: RunFailed | RunCancelled | Body, outcome: Outcome) -> Outcome:
        if self._lost.is_set():
            return Outcome.LOST
        if not self.publisher.end(body):
            self._log.error("the end of the run could not be written: the queue does not answer")
            return Outcome.LOST
        self.checkpoints.clear()
        return outcome

    def _look(self) -> Outcome | None:
        """Whether the attempt shall end now: looks at most every 100 ms, which costs some µs an epoch."""
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return None
        self._looked = now
        if self._lost.is_set():
            return Outcome.LOST
        try:
            cancelled, stopped = self.redis.mget(keys.cancel(self.run), keys.stop(self.worker))
        except RedisError as error:
            self._log.warning("the queue does not answer", error=str(error))
            return None
        if cancelled:
            return Outcome.CANCELLED
        return Outcome.GIVEN_BACK if stopped else None

    @contextmanager
    def _renewed(self) -> Iterator[None]:
        """Renew the lease in a thread of its own until the block ends."""
        over = threading.Event()

        def renew() -> None:
            due = time.monotonic() + RENEW_SECONDS
            while not over.wait(1.0):
                self.publisher.flush_leftovers()
                if time.monotonic() < due:
                    continue
                try:
                    if not self.heart.renew():
                        self._log.warning("a newer attempt has the run: this one stops")
                        self._lost.set()
                        return
                    due = time.monotonic() + RENEW_SECONDS
                except RedisError as error:
                    self._log.warning("the lease could not be renewed", error=str(error))

        thread = threading.Thread(target=renew, name=f"lease-{self.run}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
