"""The dispatcher's other duty: finished runs that somebody asked to measure get a message, after all that trains.

What was asked lies in Redis (``keys.MEASURE``) until a worker has said what it measured, or why it could not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from redis import Redis

from tasks import keys
from tasks.log import logger
from tasks.messages import Messages, Room

PRIORITY = 9
"""Training goes first: it is what people wait for, and it would disturb what is timed."""
MOST_BEGUN = 3
"""A run whose measurement took its worker down so often is let be."""
MOST_ASKED = 1000
UNKNOWN_SECONDS = 60
"""How long a run that the store has not heard of is waited for: it may just have been launched."""


def give_up(redis: Redis, run: str, reason: str) -> None:
    """Nothing more is measured of the run until somebody asks again."""
    with redis.pipeline(transaction=True) as pipe:
        pipe.set(keys.measure_failed(run), reason, ex=keys.MEMORY_SECONDS)
        pipe.zrem(keys.MEASURE, run)
        pipe.execute()
    logger.warning("not measured", run=run, reason=reason)


class Measurements:
    """Publishes what is asked for and has room. ``query``: the store's named queries."""

    def __init__(self, redis: Redis, messages: Messages, query: Callable[..., pa.Table]) -> None:
        self.redis, self.messages, self.query = redis, messages, query
        self._unknown: dict[str, float] = {}

    def serve(self, room: Room) -> int:
        """Look once; gives the number of messages published."""
        found: Any = self.redis.zrange(keys.MEASURE, 0, MOST_ASKED - 1, withscores=True)
        asked: dict[str, float] = dict(found)
        if not asked:
            return 0
        rows = {row["run"]: row for row in self.query("states", runs=list(asked)).to_pylist()}
        self._forget_unknown([run for run in asked if run not in rows])
        count = 0
        for run, row in rows.items():
            if row["state"] in ("failed", "cancelled"):
                give_up(self.redis, run, f"the run has {row['state']}: only finished runs are measured")
            elif row["state"] == "finished":
                count += self._send(run, row["device"], int(asked[run]), room)
        return count

    def _send(self, run: str, device: str, begun: int, room: Room) -> bool:
        if self.redis.exists(keys.lease(run), keys.sent(run)):
            return False
        if begun >= MOST_BEGUN:
            give_up(self.redis, run, f"its worker died in each of {begun} attempts to measure it")
            return False
        device_class = room.place(device, PRIORITY)
        if device_class is None or not self.messages.send_measurement(run, PRIORITY, device_class):
            return False
        room.take(device_class, PRIORITY)
        return True

    def _forget_unknown(self, runs: list[str]) -> None:
        now = time.monotonic()
        self._unknown = {run: self._unknown.get(run, now) for run in runs}
        for run, since in self._unknown.items():
            if now - since > UNKNOWN_SECONDS:
                give_up(self.redis, run, "there is no such run: it was deleted, or never launched")
