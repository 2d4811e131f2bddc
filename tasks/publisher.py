"""From an attempt's events to the stream: numbered, buffered for 200 ms, patient with Redis.

An inline buffer costs some 70 µs an epoch where one write each costs a millisecond. A write that is
repeated because its reply was lost only doubles numbered events, which the store drops.
"""

from __future__ import annotations

import threading
import time

from redis import Redis
from redis.exceptions import RedisError

from engine.events import TERMINAL, Body, Envelope, RunStarted
from tasks import keys
from tasks.log import logger

FLUSH_SECONDS = 0.2
END_SECONDS = 3600
"""How long the end of a run is kept for a Redis that does not answer."""


class Publisher:
    """Writes the events of one attempt. Safe to call from two threads."""

    def __init__(self, redis: Redis, run: str, attempt: int) -> None:
        self.redis, self.run, self.attempt = redis, run, attempt
        self.seq = 0
        self._buffer: list[str] = []
        self._lock = threading.Lock()
        self._flushed = 0.0

    def publish(self, body: Body) -> None:
        """Number the event and write it soon: at once if the last write is 200 ms ago, or if it is the first."""
        with self._lock:
            self.seq += 1
            envelope = Envelope(run=self.run, attempt=self.attempt, seq=self.seq, at=time.time(), body=body)
            self._buffer.append(envelope.to_json())
            if isinstance(body, RunStarted) or time.monotonic() - self._flushed >= FLUSH_SECONDS:
                self._flush()

    def end(self, body: Body) -> bool:
        """Publish the terminal event and wait until it is written; False after an hour without Redis."""
        assert isinstance(body, TERMINAL)
        deadline = time.monotonic() + END_SECONDS
        self.publish(body)
        while not self.flush():
            if time.monotonic() > deadline:
                return False
            time.sleep(FLUSH_SECONDS)
        return True

    def flush(self) -> bool:
        """Write what is buffered; True if nothing is left."""
        with self._lock:
            if self._buffer:
                self._flush()
            return not self._buffer

    def flush_leftovers(self) -> None:
        """Write what a long epoch left in the buffer, unless the other thread is writing."""
        if self._lock.acquire(blocking=False):
            try:
                if self._buffer and time.monotonic() - self._flushed >= FLUSH_SECONDS:
                    self._flush()
            finally:
                self._lock.release()

    def _flush(self) -> None:
        try:
            with self.redis.pipeline(transaction=True) as pipe:
                for text in self._buffer:
                    pipe.xadd(keys.EVENTS, {"e": text})
                pipe.execute()
        except RedisError as error:
            kept = len(self._buffer)
            logger.warning("events are kept: the queue does not answer", run=self.run, kept=kept, error=str(error))
        else:
            self._buffer.clear()
        self._flushed = time.monotonic()
