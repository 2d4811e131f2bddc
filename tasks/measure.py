"""The other Celery task: measures a finished run as `bitfront measure` does, in fresh processes.

One worker at a time has a run's measurement, by the run's lease. A worker that dies leaves it to the next one; a
worker that is being stopped hands it back.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from celery import Task
from redis import Redis
from redis.exceptions import RedisError

from engine import recipe_files
from engine.errors import BitfrontError, InputError
from engine.events import Envelope, RunMeasured
from engine.measure import measure_run
from engine.settings import Settings
from engine.spec import RunSpec
from tasks import keys
from tasks.connection import patient
from tasks.log import logger
from tasks.measurements import give_up
from tasks.queue import MEASURE, celery

# Ours still, or nobody's (an emptied Redis forgot it): hold it for another while.
_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

Measure = Callable[[RunSpec, Callable[[], None]], RunMeasured]
"""Measures a spec; calls back every second."""


class _Left(Exception):  # noqa: N818 (no error: the worker is being stopped, or another one has the run)
    """The measurement ends here without a result."""


@celery.task(name=MEASURE, bind=True)
def measure(self: Task, run: str) -> str:
    """Measure one run; gives how it ended, in a word, for the log."""
    recipe_files.forbid()  # the spec is what somebody sent
    settings = Settings()
    with patient(settings) as redis:
        one = Measurement(redis, run, str(self.request.hostname))
        return one.carry_out(
            lambda: read_spec(settings, run), lambda spec, pulse: measure_run(spec, settings=settings, pulse=pulse)
        )


def read_spec(settings: Settings, run: str) -> RunSpec:
    """The spec of a run, from the store."""
    from store.client import connect

    with connect(settings) as store:
        rows = store.query("run", run=run).to_pylist()
    if not rows:
        raise InputError(f"there is no run {run!r}")
    return RunSpec.from_json(rows[0]["spec"])


class Measurement:
    """One worker's try to measure one run."""

    def __init__(self, redis: Redis, run: str, worker: str) -> None:
        self.redis, self.run, self.worker = redis, run, worker
        self.token = f"0:{worker}:{secrets.token_hex(8)}"
        self._hold = redis.register_script(_HOLD)
        self._release = redis.register_script(_RELEASE)
        self._log = logger.bind(run=run)

    def carry_out(self, read: Callable[[], RunSpec], measure: Measure) -> str:
        """Take the run, measure it, say what was found or why not."""
        lease = keys.lease(self.run)
        if not self.redis.set(lease, self.token, nx=True, ex=keys.LEASE_SECONDS):
            self._log.info("measuring ignored: the run is held")
            return "refused"
        self.redis.delete(keys.sent(self.run))
        try:
            # Counted before it begins, so that a death counts too.
            if self.redis.zadd(keys.MEASURE, {self.run: 1}, xx=True, incr=True) is None:
                return "not asked for"
            return self._measure(read, measure)
        except BaseException:  # the process is told to exit
            self._hand_back()
            raise
        finally:
            self._release(keys=[lease], args=[self.token])

    def _measure(self, read: Callable[[], RunSpec], measure: Measure) -> str:
        began = time.monotonic()
        try:
            measured = measure(read(), self._pulse)
        except _Left:
            self._hand_back()
            return "given back"
        except BitfrontError as error:
            give_up(self.redis, self.run, str(error))
            return "failed"
        except Exception as error:
            self._log.exception("measuring failed")
            give_up(self.redis, self.run, f"internal error: {type(error).__name__}: {error}")
            return "failed"
        envelope = Envelope(run=self.run, at=time.time(), body=measured)
        with self.redis.pipeline(transaction=True) as pipe:
            pipe.xadd(keys.EVENTS, {"e": envelope.to_json()})
            pipe.zrem(keys.MEASURE, self.run)
            pipe.execute()
        self._log.info("measured", seconds=round(time.monotonic() - began, 2))
        return "measured"

    def _hand_back(self) -> None:
        """A try that was ended from outside counts as none."""
        with suppress(RedisError):
            self.redis.zadd(keys.MEASURE, {self.run: -1}, xx=True, incr=True)

    def _pulse(self) -> None:
        try:
            held = self._hold(keys=[keys.lease(self.run)], args=[self.token, keys.LEASE_SECONDS])
            stopped = self.redis.exists(keys.stop(self.worker))
        except RedisError as error:
            self._log.warning("the queue does not answer", error=str(error))
            return
        if stopped or not held:
            raise _Left
