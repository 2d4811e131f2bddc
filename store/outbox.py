"""The outbox: events of runs that were trained while no store answered, one JSON envelope a line.

`bitfront run` writes a file a run and holds a lock on it while it trains; the store ingests the others at its
start. A file goes only after its events are committed, and an event counts once, so a repeated file does no harm.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

import duckdb
import structlog

from engine.errors import InputError
from engine.events import Envelope, RunFailed, RunQueued
from store.ingest import Applied, Received, apply_batch
from store.lifecycle import UNFINISHED

BATCH_EVENTS = 5000
YOUNG_SECONDS = 5.0
"""A file that was written to so recently may be one whose run is about to lock it."""
DIED = "the process that trained it ended without a word: it was killed, or its machine went down"

log = structlog.get_logger(__name__)


def ingest_outbox(connection: duckdb.DuckDBPyConnection, folder: Path) -> Applied:
    """Apply every file of the folder, oldest name first, and remove each once it is committed.

    A run whose process is dead (nothing locks its file) and did not say how it ended has failed.
    """
    total = Applied()
    for path in sorted(folder.glob("*.jsonl")):
        try:
            if time.time() - path.stat().st_mtime < YOUNG_SECONDS and path.stat().st_size == 0:
                continue
            with path.open(encoding="utf-8", errors="replace") as file:
                # Raises where a run is still writing it; that run finds the store by itself at its end.
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                entries = _read(file, path.name)
                first = last = None
                while batch := list(islice(entries, BATCH_EVENTS)):
                    total += apply_batch(connection, batch)
                    first, last = first or batch[0], batch[-1]
                if verdict := _verdict(connection, first, last):
                    total += apply_batch(connection, [verdict])
                path.unlink()
        except BlockingIOError:
            continue
        except OSError as error:
            log.warning("an outbox file cannot be ingested", path=str(path), error=str(error))
    return total


def _verdict(connection: duckdb.DuckDBPyConnection, first: Received | None, last: Received | None) -> Received | None:
    """What is to be said of a run whose file begins with its launch and did not say how it ended."""
    if first is None or last is None:
        return None
    try:
        launch = Envelope.from_json(first.text)
    except (InputError, ValueError):
        return None
    if not isinstance(launch.body, RunQueued):
        return None
    found = connection.execute("SELECT state FROM runs WHERE run = $1", [launch.run]).fetchall()
    if not found or found[0][0] not in UNFINISHED:
        return None
    text = Envelope(run=launch.run, at=time.time(), body=RunFailed(reason=DIED)).to_json()
    return Received(text, "outbox", last.position)


def _read(file: TextIO, name: str) -> Iterator[Received]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield Received(line.strip(), "outbox", f"{name}:{number}")
