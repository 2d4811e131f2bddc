"""From an attempt's events to the stream: numbered, buffered for 200 ms, never in the way of the training.

An inline buffer costs some 70 µs an epoch where one write each costs a millisecond. A write that is
repeated because its reply was lost only doubles numbered events, which the store drops. While Redis does not answer,
events are spooled (tasks.spool) and a second thread tries again; the training goes on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from redis import Redis
from redis.exceptions import RedisError

from engine.events import TERMINAL, Body, Envelope, EpochFinished, RunStarted
from tasks import keys
from tasks.log import logger
from tasks.spool import Spool

FLUSH_SECONDS = 0.2
AGAIN_SECONDS = 0.5
"""How long a Redis that did not answer is left alone."""
END_SECONDS = 3600
"""How long the end of a run is kept for a Redis that does not answer."""


class Publisher:
    """Writes the events of one attempt. Safe to call from two threads. ``redis``: best a client that tries once."""

    def __init__(self, redis: Redis, run: str, attempt: int, spool: Spool | None = None) -> None:
        self.redis, self.run, self.attempt = redis, run, attempt
        self.seq = 0
        self._kept = Spool() if spool is None else spool
        self._lock = threading.Lock()
        """Held for what is kept, and only briefly."""
        self._writing = threading.Lock()
        """Held by the one thread that talks to Redis, as long as that takes."""
        self._flushed = 0.0
        self._away_until = 0.0
        self._is_away = False

    def publish(self, body: Body) -> None:
        """Number the event and write it soon: at once if the last write is 200 ms ago, or if it is the first."""
        with self._lock:
            self.seq += 1
            envelope = Envelope(run=self.run, attempt=self.attempt, seq=self.seq, at=time.time(), body=body)
            # What is left out over the spool's limit are the rows that the end's history has too.
            self._kept.add(envelope.to_json(), must=not isinstance(body, EpochFinished))
        now = time.monotonic()
        if self._is_away:
            with self._lock:
                self._kept.secure()
        elif isinstance(body, RunStarted) or now - self._flushed >= FLUSH_SECONDS:
            self._write(wait=False)

    def end(self, body: Body, given_up: Callable[[], bool] = lambda: False) -> bool:
        """Publish the terminal event and wait until it is written; False after an hour without Redis, or ``given_up``.

        Then it is in the spool, and the next worker to start here delivers it.
        """
        assert isinstance(body, TERMINAL)
        deadline = time.monotonic() + END_SECONDS
        self.publish(body)
        while not self.flush():
            if time.monotonic() > deadline or given_up():
                return False
            time.sleep(FLUSH_SECONDS)
        return True

    def flush(self) -> bool:
        """Write what is kept; True if nothing is left."""
        return self._write(wait=True)

    def flush_leftovers(self) -> None:
        """Write what a long epoch left in the buffer, or what waits for Redis, unless the other thread is writing."""
        now = time.monotonic()
        if now - self._flushed >= FLUSH_SECONDS and now >= self._away_until:
            self._write(wait=False)

    def _write(self, *, wait: bool) -> bool:
        if not self._writing.acquire(blocking=wait):
            return False
        try:
            while True:
                with self._lock:
                    texts = self._kept.first()
                if not texts:
                    return True
                with self.redis.pipeline(transaction=True) as pipe:
                    for text in texts:
                        pipe.xadd(keys.EVENTS, {"e": text})
                    pipe.execute()
                with self._lock:
                    self._kept.drop(len(texts))
                if self._is_away:
                    logger.info("the queue answers again", run=self.run)
                    self._is_away = False
        except RedisError as error:
            self._away_until = time.monotonic() + AGAIN_SECONDS
            with self._lock:
                self._kept.secure()
            if not self._is_away:
                logger.warning("events are kept: the queue does not take them", run=self.run, error=str(error))
            self._is_away = True
            return False
        finally:
            self._flushed = time.monotonic()
            self._writing.release()
