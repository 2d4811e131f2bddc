"""What goes on beside an attempt's training: its lease is renewed, and whether it shall end is looked at.

The training asks for the verdict after each step. Where a step takes longer than a second, its thread is interrupted by
a signal; where that does not help either (one long call into a library), the attempt is ended from here.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from tasks import keys
from tasks.lease import Lease
from tasks.limits import Limits, resident
from tasks.log import logger
from tasks.outcome import Left, Outcome, Verdict
from tasks.publisher import Publisher

LOOK_SECONDS = 0.2
"""How often is looked."""
RENEW_SECONDS = keys.LEASE_SECONDS / 3
PATIENCE_SECONDS = 1.0
"""How long a step may go on after the verdict before it is interrupted, and again so long after each signal."""
FORCE_SECONDS = 10.0
"""How long it may go on in all."""
PRESS = signal.SIGUSR2
"""Interrupts a step (Celery's pool uses SIGUSR1)."""


class Watch:
    """Of one attempt. ``redis``: a client that tries once; ``force``: ends the attempt beside its training's thread."""

    def __init__(
        self, redis: Redis, lease: Lease, limits: Limits, publisher: Publisher, force: Callable[[Verdict], None]
    ) -> None:
        self.redis, self.lease, self.limits, self.publisher, self.force = redis, lease, limits, publisher, force
        self.verdict: Verdict | None = None
        """The first one; it stays, unless a newer attempt has the run."""
        self.trained_before = 0.0
        """Seconds that earlier attempts trained for what this one goes on from."""
        self._renewed = time.monotonic()
        self._judged = self._pressed = 0.0
        self._began = time.monotonic()
        self.told = False
        """The process is to end, whatever becomes of the run."""
        self._parent = os.getppid()
        self._interruptible = False
        self._away = False
        self._over = threading.Event()
        self._log = logger.bind(run=lease.run, attempt=lease.attempt)

    @property
    def is_lost(self) -> bool:
        """Whether a newer attempt has the run. Asks where it may have changed hands without our knowing."""
        if self.verdict is not None and self.verdict.outcome is Outcome.LOST:
            return True
        # We were suspended, or Redis was away: longer than a lease lives.
        if time.monotonic() - self._renewed >= keys.LEASE_SECONDS - 1:
            try:
                self._renew()
            except RedisError:
                return False  # nobody can have claimed it from a Redis that does not answer
        return self.verdict is not None and self.verdict.outcome is Outcome.LOST

    def judge(self, outcome: Outcome, reason: str = "", *, keeps: bool = True) -> None:
        """Have the attempt end; the first verdict counts, but nothing is said of a run that another attempt has."""
        if self.verdict is None or outcome is Outcome.LOST:
            self.verdict = Verdict(outcome, reason, keeps)
            self._judged = self._pressed = time.monotonic()
            self._log.info("shall end", how=outcome.value, **({"reason": reason} if reason else {}))

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """While the training works: the only time when a signal may interrupt it."""
        self._interruptible = True
        try:
            yield
        finally:
            self._interruptible = False

    @contextmanager
    def on_duty(self) -> Iterator[None]:
        """Watch in a thread of its own until the block ends; a SIGTERM within it is a verdict."""
        thread = threading.Thread(target=self._run, name=f"watch-{self.lease.run}", daemon=True)
        self._trainer = threading.get_ident()
        before: dict[int, Any] = {}
        told: list[int] = []

        def told_to_end(number: int, _: FrameType | None) -> None:
            told.append(number)
            self.told = True
            self.judge(Outcome.GIVEN_BACK)

        if threading.current_thread() is threading.main_thread():
            before = {
                signal.SIGTERM: signal.signal(signal.SIGTERM, told_to_end),
                PRESS: signal.signal(PRESS, self._interrupt),
            }
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if told:
            raise SystemExit(0)  # the attempt is over: now the process may end as it was told to

    def _interrupt(self, *_: Any) -> None:
        if self._interruptible and self.verdict is not None:
            raise Left

    def _run(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            try:
                self.publisher.flush_leftovers()
                self._look()
                self._press()
            except Exception:
                self._log.exception("the watch goes on")

    def _look(self) -> None:
        if os.getppid() != self._parent:
            self.told = True
            self.judge(Outcome.GIVEN_BACK, "its worker is gone")
        trained = self.trained_before + time.monotonic() - self._began
        if breach := self.limits.broken(trained, resident() if self.limits.memory is not None else 0.0):
            # Where memory runs out, a copy of the state would be one too much.
            self.judge(Outcome.FAILED, breach.reason, keeps=breach.kind != "memory")
        try:
            cancelled, stopped = self.redis.mget(keys.cancel(self.lease.run), keys.stop(self.lease.worker))
            if cancelled:
                self.judge(Outcome.CANCELLED)
            elif stopped:
                self.judge(Outcome.GIVEN_BACK)
            if time.monotonic() - self._renewed >= RENEW_SECONDS:
                self._renew()
        except RedisError as error:
            if not self._away:
                self._log.warning("the queue does not answer", error=str(error))
            self._away = True
        else:
            self._away = False

    def _renew(self) -> None:
        if self.lease.renew():
            self._renewed = time.monotonic()
        else:
            self.judge(Outcome.LOST)

    def _press(self) -> None:
        if self.verdict is None or not self._interruptible:
            return
        now = time.monotonic()
        if now - self._judged >= FORCE_SECONDS and self.verdict.outcome is not Outcome.LOST:
            self.force(self.verdict)
        elif now - self._pressed >= PATIENCE_SECONDS:
            self._pressed = now
            signal.pthread_kill(self._trainer, PRESS)
