"""The outbox: events of runs that were trained while no store answered, one JSON envelope a line.

`bitfront run` writes a file a command; the store ingests the files at its start. A file goes only after its
events are committed, and an event counts once, so a repeated file does no harm.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import duckdb
import structlog

from store.ingest import Applied, Received, apply_batch

BATCH_EVENTS = 5000

log = structlog.get_logger(__name__)


def ingest_outbox(connection: duckdb.DuckDBPyConnection, folder: Path) -> Applied:
    """Apply every file of the folder, oldest name first, and remove each once it is committed."""
    total = Applied()
    for path in sorted(folder.glob("*.jsonl")):
        try:
            entries = _read(path)
            while batch := list(islice(entries, BATCH_EVENTS)):
                total += apply_batch(connection, batch)
            path.unlink()
        except OSError as error:
            log.warning("an outbox file cannot be ingested", path=str(path), error=str(error))
    return total


def _read(path: Path) -> Iterator[Received]:
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield Received(line.strip(), "outbox", f"{path.name}:{number}")
