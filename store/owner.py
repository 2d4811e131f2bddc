"""The process that owns the database: one writer, many readers, the stream's follower, the record files."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
import structlog

from engine.settings import Settings
from store.database import open_for_writing
from store.ingest import Applied, Received, apply_batch, read_position
from store.outbox import ingest_outbox
from store.readers import Readers
from store.records import write_due_records
from store.search_records import make_all_due, write_due_searches
from store.stream import Follower
from store.sweep_records import write_due_sweeps
from store.writer import Writer, WriterStoppedError

T = TypeVar("T")
SWEEP_SECONDS = 10.0
FATAL = 70
"""Exit status of a store whose database gave up."""

log = structlog.get_logger(__name__)


class StoreOwner:
    """Holds the home's database until ``close``. Raises DatabaseError where another process holds it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._connection = open_for_writing(settings.database)
        outbox = ingest_outbox(self._connection, settings.outbox)
        if outbox != Applied():
            log.info("outbox ingested", applied=outbox.applied, dropped=outbox.dropped, dead=outbox.dead)
        self._position = read_position(self._connection)
        make_all_due(self._connection, settings.search_records)
        self.readers = Readers(self._connection)
        self.writer = Writer(self._connection)
        self._schedule_records()
        self.follower = Follower(settings, lambda: self._position, self.apply)
        self._trouble: str | None = None
        self._closing = threading.Event()
        self._sweeper = threading.Thread(target=self._sweep, name="store-sweeper", daemon=True)
        self._sweeper.start()

    @property
    def position(self) -> str:
        """Id of the last stream entry whose event is committed."""
        return self._position

    @property
    def trouble(self) -> str | None:
        """Why what happens is not remembered now, in words; None where it is."""
        return self._trouble or self.follower.trouble

    def query(self, name: str, given: Mapping[str, Any]) -> pa.Table:
        """A named query's rows. Raises InputError."""
        return self.readers.query(name, given)

    def apply(self, entries: Sequence[Received]) -> Applied:
        """Apply events and commit them; the record files follow. Raises duckdb.Error where the database fails."""

        def job(connection: duckdb.DuckDBPyConnection) -> Applied:
            applied = apply_batch(connection, entries)
            self._position = read_position(connection)
            return applied

        try:
            applied = self.write(job)
        except duckdb.Error as error:
            self._trouble = describe_failure(error)
            raise
        self._trouble = None
        return applied

    def write(self, job: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run a job on the writer's connection and wait until it is committed; record files follow."""
        try:
            result = self.writer.submit(job).result()
        except duckdb.FatalException as error:
            # Nothing can be done with this connection any more; whoever watches over the store starts it again.
            log.error("the database gave up: the store ends, to be started again", error=str(error))
            os._exit(FATAL)
        self._schedule_records()
        return result

    def close(self) -> None:
        """Stop following, finish the writes, close the file."""
        self.follower.stop()
        self._closing.set()
        self._sweeper.join()
        self.writer.stop()
        self.readers.close()
        self._connection.close()

    def _sweep(self) -> None:
        """Now and then take what runs in other processes have left while no store answered them, or when they died."""
        while not self._closing.wait(SWEEP_SECONDS):
            if not any(self.settings.outbox.glob("*.jsonl")):
                continue
            try:
                found = self.write(lambda connection: ingest_outbox(connection, self.settings.outbox))
            except (duckdb.Error, WriterStoppedError) as error:
                log.warning("the outbox waits", error=str(error))
            else:
                if found != Applied():
                    log.info("outbox ingested", applied=found.applied, dropped=found.dropped, dead=found.dead)

    def _schedule_records(self) -> None:
        with suppress(WriterStoppedError):  # what is due then is written at the next start
            self.writer.submit(self._write_records)

    def _write_records(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Some of the records that are due; the rest after the writes that came meanwhile."""
        folder: Path = self.settings.records
        try:
            written = write_due_records(connection, folder) + write_due_sweeps(connection, self.settings.sweep_records)
            written += write_due_searches(connection, self.settings.search_records)
            if written:
                self._schedule_records()
        except OSError as error:
            log.error("a record file cannot be written; it stays due", folder=str(folder), error=str(error))


def describe_failure(error: duckdb.Error) -> str:
    """Why the database takes nothing, in words."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    if "No space left" in str(error) or "not enough space" in str(error).lower():
        return f"the disk is full: free some space, and what waits in the queue is taken ({first})"
    return f"the database takes nothing now: what comes in waits in the queue ({first})"
