"""Launch and cancel: one write to the stream each, which happens whole or not at all.

Imported by the dashboard and the command line, so neither Celery nor torch is needed here.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from redis import Redis
from redis.exceptions import RedisError

from engine import grammar
from engine.errors import InputError
from engine.events import CancelRequested, Envelope, RunQueued, new_run_id
from engine.recipe_files import refuse_files
from engine.settings import Settings
from engine.spec import RunSpec
from tasks import keys
from tasks.connection import QueueUnavailable, address, quick, shown

__all__ = ["QueueUnavailable", "cancel", "submit"]


def submit(settings: Settings, specs: Sequence[RunSpec], *, priority: int = 5, sweep: str | None = None) -> list[str]:
    """Launch runs, all of them or none; gives their run ids in the order of the specs.

    ``priority``: 0 is served first, 9 last. Raises InputError for a wrong priority, no spec, a scheme that names
    a recipe file, or a dataset that names a path, QueueUnavailable if Redis does not answer within about two seconds.
    """
    if not specs:
        raise InputError("there is nothing to launch: give at least one run")
    if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= 9:
        raise InputError(f"priority = {priority!r} is not allowed: it is a whole number from 0 (first) to 9 (last)")
    for spec in specs:
        refuse_files(grammar.parse(spec.scheme, "scheme"), spec.scheme)
        spec.dataset.check_elsewhere()
    now = time.time()
    envelopes = [
        Envelope(
            run=new_run_id(),
            # The order of the specs is the order of service. The store keeps microseconds, and a float of this
            # size is off by a quarter of one: at distances of one, two neighbours could round to the same time.
            # The last is now: the store cuts what lies in its future.
            at=now - (len(specs) - index) * 2e-6,
            body=RunQueued(spec=spec.model_dump(mode="json"), priority=priority, sweep=sweep),
        )
        for index, spec in enumerate(specs)
    ]
    _write(settings, envelopes, [], "launched")
    return [envelope.run for envelope in envelopes]


def cancel(settings: Settings, runs: Iterable[str]) -> None:
    """Ask to cancel runs: a queued one ends at once, a running one within its current epoch.

    A run that has ended is left as it is. Raises QueueUnavailable if Redis does not answer.
    """
    asked = list(dict.fromkeys(runs))
    now = time.time()
    envelopes = [Envelope(run=run, at=now, body=CancelRequested()) for run in asked]
    if envelopes:
        _write(settings, envelopes, [keys.cancel(run) for run in asked], "cancelled")


def _write(settings: Settings, envelopes: list[Envelope], flags: list[str], done: str) -> None:
    try:
        url = address(settings)
    except QueueUnavailable as error:
        raise QueueUnavailable(f"{error}; nothing was {done}") from None
    try:
        redis = quick(settings)
    except ValueError as error:
        raise QueueUnavailable(f"REDIS_URL = {shown(url)!r} is no address: {error}; nothing was {done}") from None
    with redis:
        try:
            redis.ping()
        except RedisError as error:
            raise QueueUnavailable(f"the queue at {shown(url)} does not answer ({error}): nothing was {done}") from None
        try:
            _send(redis, envelopes, flags)
        except RedisError as error:
            raise QueueUnavailable(
                f"the queue at {shown(url)} stopped answering ({error}): "
                f"look whether the runs were {done} before you try again"
            ) from None


def _send(redis: Redis, envelopes: list[Envelope], flags: list[str]) -> None:
    with redis.pipeline(transaction=True) as pipe:
        for flag in flags:
            pipe.set(flag, 1, ex=keys.MEMORY_SECONDS)
        for envelope in envelopes:
            pipe.xadd(keys.EVENTS, {"e": envelope.to_json()})
        pipe.execute()
