"""The one thread that writes: jobs come in by a queue and run one after the other on its connection."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import duckdb

T = TypeVar("T")
_Job = tuple[Callable[[duckdb.DuckDBPyConnection], Any], Future[Any]]


class WriterStoppedError(RuntimeError):
    """The writer takes no more jobs."""


class Writer:
    """Owns the write connection; ``submit`` a function of it, and its result or error comes back in a Future."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Callable[[duckdb.DuckDBPyConnection], T]) -> Future[T]:
        """Run the job after those before it. Raises WriterStoppedError."""
        future: Future[T] = Future()
        with self._lock:
            if self._stopped:
                raise WriterStoppedError("the store is stopping")
            self._jobs.put((job, future))
        return future

    def stop(self) -> None:
        """Finish what was submitted, then end the thread; the connection stays open."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job(self._connection))
            except BaseException as error:
                future.set_exception(error)
