"""Sweeps whose workers have spent the hours that they may: what they launched, and is not over, is cancelled.

The dispatcher's part, since there is one of it. What was cancelled can be resumed once the budget is raised.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import pyarrow as pa
from redis import Redis

from engine.events import CancelRequested, Envelope
from tasks import keys
from tasks.log import logger

PERIOD = 2.0
"""Seconds between two looks: how far a sweep may overspend, for each of its workers."""


class Budgets:
    """Looks now and then at what was spent. ``query``: the store's named queries."""

    def __init__(self, redis: Redis, query: Callable[..., pa.Table]) -> None:
        self.redis, self.query = redis, query
        self._next = 0.0

    def serve(self) -> int:
        """Cancel the runs of sweeps that have spent their hours, if it is time to look; gives how many."""
        if time.monotonic() < self._next:
            return 0
        self._next = time.monotonic() + PERIOD
        runs = self.query("overspent")["run"].to_pylist()
        if not runs:
            return 0
        with self.redis.pipeline(transaction=True) as pipe:
            for run in runs:
                pipe.set(keys.cancel(run), 1, ex=keys.MEMORY_SECONDS)
                text = Envelope(run=run, at=time.time(), body=CancelRequested()).to_json()
                pipe.xadd(keys.EVENTS, {"e": text})
            pipe.execute()
        logger.info("cancelled: the hours of their sweep are spent", runs=len(runs))
        return len(runs)
