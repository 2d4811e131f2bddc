"""The dispatcher's process: the one publisher of Celery messages.

    python -m tasks.dispatch

Follows the stream and asks the store. Many may be started; one holds the lock and works, the others
stand by. Reads REDIS_URL, BITFRONT_STORE_URL and the other settings from the environment.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import Any

import pyarrow as pa
from redis.exceptions import RedisError, ResponseError

from engine import recipe_files
from engine.errors import BitfrontError
from engine.settings import Settings
from store.client import StoreClient, connect
from tasks import keys
from tasks.connection import patient
from tasks.dispatcher import Dispatcher
from tasks.log import logger
from tasks.queue import make_celery
from tasks.searching import SearchThread

PERIOD = 1.0
"""How often the store is asked, in seconds."""
HOT_PERIOD, HOT_SECONDS = 0.1, 1.5
"""How often, and for how long, after news that concerns the dispatcher (the store takes 0.2 s to apply them)."""
TYPES = ("run_queued", "cancel_requested", "resume_requested", "run_finished", "run_failed")
SEARCH_NEWS = '"type":"search_queued"'
NEWS = tuple(f'"type":"{name}"' for name in TYPES)


class Service:
    """Waits for news or the period's end, and looks; until ``stop`` is set."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.stop = threading.Event()
        self.redis = patient(settings)
        self.dispatcher = Dispatcher(
            self.redis, make_celery(settings), self._query, self._position, attempts=settings.attempts
        )
        self._client: StoreClient | None = None
        self._after = "$"
        self._hot_until = 0.0
        self._trouble = ""
        self._holds = False
        self.searches = SearchThread(settings, lambda: self._holds)

    def run(self) -> None:
        """Work until told to stop; sits out a Redis or a store that does not answer."""
        standing_by, said_ready = False, False
        self.searches.start()
        while not self.stop.is_set():
            try:
                holds = self._holds = self.dispatcher.hold()
                if not said_ready:
                    self._after = "{}-{}".format(*self.dispatcher.last_entry())
                    print(json.dumps({"ready": True}), flush=True)
                    said_ready = True
                if holds:
                    self._work()
                else:
                    if not standing_by:
                        logger.info("standing by: another dispatcher works")
                    self.stop.wait(PERIOD)
                standing_by = not holds
            except (RedisError, BitfrontError, OSError) as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    logger.warning("waiting", reason=self._trouble)
                self.stop.wait(PERIOD)
        self.searches.end()
        with suppress(RedisError):
            self.dispatcher.let_go()

    def _work(self) -> None:
        began = time.monotonic()
        count = self.dispatcher.cycle()
        if self._trouble:
            logger.info("all is well again")
            self._trouble = ""
        period = HOT_PERIOD if count or began < self._hot_until else PERIOD
        self._listen(began + max(period, min(PERIOD, 5 * (time.monotonic() - began))))

    def _listen(self, until: float) -> None:
        """Follow the stream until then; sooner where something was launched, cancelled or ended."""
        while not self.stop.is_set() and (left := until - time.monotonic()) > 0:
            try:
                answer: Any = self.redis.xread({keys.EVENTS: self._after}, count=1000, block=max(1, int(left * 1000)))
            except ResponseError:
                self._after = "$"
                continue
            for _, entries in answer or ():
                self._after = entries[-1][0]
                if any(SEARCH_NEWS in entry["e"][:300] for _, entry in entries):
                    self.searches.news.set()
                if any(news in entry["e"][:300] for _, entry in entries for news in NEWS):
                    now = time.monotonic()
                    self._hot_until, until = now + HOT_SECONDS, min(until, now + HOT_PERIOD)

    def _store(self) -> StoreClient:
        if self._client is None:
            self._client = connect(self.settings)
        return self._client

    def _query(self, name: str, **parameters: Any) -> pa.Table:
        return self._store().query(name, **parameters)

    def _position(self) -> str:
        return str(self._store().health()["stream_position"])


def main() -> int:
    """Dispatch until told to end."""
    argparse.ArgumentParser(
        prog="python -m tasks.dispatch", description="Send queued runs to the workers; takes no options."
    ).parse_args()
    recipe_files.forbid()  # searches come from the queue, with their schemes
    try:
        service = Service(Settings())
    except BitfrontError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: service.stop.set())
    service.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
