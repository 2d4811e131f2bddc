"""Cursors for reading: each query has its own, so that reads wait neither for each other nor for writes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

from store.queries import get_query


class Readers:
    """A pool of read cursors that grows to the number of queries asked at the same time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._root = connection.cursor()
        self._lock = threading.Lock()
        self._idle: queue.SimpleQueue[duckdb.DuckDBPyConnection] = queue.SimpleQueue()

    def query(self, name: str, given: Mapping[str, Any]) -> pa.Table:
        """Run a named query, fetched to the end. Raises InputError for a bad name or parameter."""
        query = get_query(name)
        cursor = self._take()
        try:
            return query.run(cursor, given)
        finally:
            self._idle.put(cursor)

    def columns(self, name: str) -> dict[str, str]:
        """Columns and their SQL types of a named query."""
        cursor = self._take()
        try:
            return get_query(name).columns(cursor)
        finally:
            self._idle.put(cursor)

    def _take(self) -> duckdb.DuckDBPyConnection:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            with self._lock:
                return self._root.cursor()

    def close(self) -> None:
        """Close the idle cursors; call it when no query runs any more."""
        while not self._idle.empty():
            self._idle.get_nowait().close()
        self._root.close()
