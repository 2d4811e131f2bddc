"""The process that owns the database: one writer, many readers, the stream's follower, the record files."""

from __future__ import annotations

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
from store.stream import Follower
from store.writer import Writer, WriterStoppedError

T = TypeVar("T")

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
        self.readers = Readers(self._connection)
        self.writer = Writer(self._connection)
        self._schedule_records()
        self.follower = Follower(settings, lambda: self._position, self.apply)

    @property
    def position(self) -> str:
        """Id of the last stream entry whose event is committed."""
        return self._position

    def query(self, name: str, given: Mapping[str, Any]) -> pa.Table:
        """A named query's rows. Raises InputError."""
        return self.readers.query(name, given)

    def apply(self, entries: Sequence[Received]) -> Applied:
        """Apply events and commit them; the record files follow."""

        def job(connection: duckdb.DuckDBPyConnection) -> Applied:
            applied = apply_batch(connection, entries)
            self._position = read_position(connection)
            return applied

        return self.write(job)

    def write(self, job: Callable[[duckdb.DuckDBPyConnection], T]) -> T:
        """Run a job on the writer's connection and wait until it is committed; record files follow."""
        result = self.writer.submit(job).result()
        self._schedule_records()
        return result

    def close(self) -> None:
        """Stop following, finish the writes, close the file."""
        self.follower.stop()
        self.writer.stop()
        self.readers.close()
        self._connection.close()

    def _schedule_records(self) -> None:
        with suppress(WriterStoppedError):  # what is due then is written at the next start
            self.writer.submit(self._write_records)

    def _write_records(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Some of the records that are due; the rest after the writes that came meanwhile."""
        folder: Path = self.settings.records
        try:
            if write_due_records(connection, folder):
                self._schedule_records()
        except OSError as error:
            log.error("a record file cannot be written; it stays due", folder=str(folder), error=str(error))
