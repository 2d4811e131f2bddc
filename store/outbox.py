"""The outbox: events of runs that were trained while no store answered, one JSON envelope a line.

`bitfront run` writes a file a run and holds a lock on it while it trains; the store ingests the others at its
start. A file goes only after its events are committed, and an event counts once, so a repeated file does no harm.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

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
            with path.open(encoding="utf-8", errors="replace") as file:
                # Raises where a run is still writing it; that run finds the store by itself at its end.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                entries = _read(file, path.name)
                while batch := list(islice(entries, BATCH_EVENTS)):
                    total += apply_batch(connection, batch)
                path.unlink()
        except BlockingIOError:
            continue
        except OSError as error:
            log.warning("an outbox file cannot be ingested", path=str(path), error=str(error))
    return total


def _read(file: TextIO, name: str) -> Iterator[Received]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield Received(line.strip(), "outbox", f"{name}:{number}")
