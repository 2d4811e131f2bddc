"""The outbox: what a dead process left is a failed run, what a living one writes is left alone."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import duckdb
import pytest

from engine.events import Envelope
from store.ingest import Applied
from store.outbox import ingest_outbox
from tests.store import lives
from tests.store.tables import ask

RUN = "0abc00000aaaaa"


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    folder = tmp_path / "outbox"
    folder.mkdir()
    return folder


def _begun() -> list[Envelope]:
    launch = lives.queued(RUN)
    local = launch.model_copy(update={"body": launch.body.model_copy(update={"origin": "local"})})
    return [local, lives.started(RUN), lives.event(RUN, 1, 2, lives.row(1))]


def _write(outbox: Path, events: list[Envelope], more: str = "") -> Path:
    path = outbox / f"{RUN}.jsonl"
    path.write_text("".join(event.to_json() + "\n" for event in events) + more)
    return path


@pytest.mark.parametrize("more", ["", '{"run": "cut sho'], ids=["whole lines", "a line cut short"])
def test_a_run_whose_process_died_has_failed(connection: duckdb.DuckDBPyConnection, outbox: Path, more: str) -> None:
    path = _write(outbox, _begun(), more)
    ingest_outbox(connection, outbox)
    (run,) = ask(connection, "run", run=RUN)
    assert (run["state"], run["epoch"]) == ("failed", 1)
    assert run["reason"] == (
        "the process that trained it ended without a word: it was killed, or its machine went down"
    )
    assert not path.exists()


def test_a_run_that_is_still_written_is_left_alone(connection: duckdb.DuckDBPyConnection, outbox: Path) -> None:
    path = _write(outbox, _begun())
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert ingest_outbox(connection, outbox) == Applied()
    assert path.exists()


def test_a_file_that_was_just_made_is_left_alone(connection: duckdb.DuckDBPyConnection, outbox: Path) -> None:
    """Its run has not locked it yet."""
    path = outbox / f"{RUN}.jsonl"
    path.touch()
    ingest_outbox(connection, outbox)
    assert path.exists()
    os.utime(path, (0, 0))
    ingest_outbox(connection, outbox)
    assert not path.exists()


def test_a_run_that_said_how_it_ended_is_not_judged(connection: duckdb.DuckDBPyConnection, outbox: Path) -> None:
    events = lives.finished(RUN)
    _write(outbox, events)
    assert ingest_outbox(connection, outbox) == Applied(applied=len(events))
    (run,) = ask(connection, "run", run=RUN)
    assert run["state"] == "finished"
