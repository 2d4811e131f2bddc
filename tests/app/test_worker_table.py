"""Workers as people read them: of one that is gone nothing is said of what it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.worker_table import alive_text, worker_table

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def worker(name: str, *, alive: bool = True, **changes: Any) -> dict[str, Any]:
    row = {"worker": name, "state": "busy", "device": "cpu", "current_run": "r0", "load": 1.5, "memory": 250_000_000}
    return row | {"host": "here", "heard_at": NOW - timedelta(seconds=5), "alive": alive} | changes


def test_a_worker_says_what_it_does_and_when_it_was_heard_of() -> None:
    (row,) = worker_table([worker("w1")], NOW).to_dict("records")
    assert row == {
        "Worker": "w1",
        "State": "busy",
        "Device": "cpu",
        "Current run": "r0",
        "Load": 1.5,
        "Memory": "250 MB",
        "Host": "here",
        "Heard from": "5 s ago",
    }


def test_a_worker_that_is_gone_is_neither_busy_nor_training() -> None:
    gone = worker("w1", alive=False, heard_at=NOW - timedelta(minutes=3))
    (row,) = worker_table([gone], NOW).to_dict("records")
    assert (row["State"], row["Current run"], row["Memory"], row["Heard from"]) == ("gone", None, "–", "3 min ago")


def test_where_hosts_are_private_there_is_no_column_of_them() -> None:
    assert "Host" not in worker_table([worker("cpu-1", host=None)], NOW)


def test_how_many_are_alive_is_said_and_how_many_are_gone() -> None:
    assert alive_text([]) == "0 alive"
    assert alive_text([worker("w1"), worker("w2")]) == "2 alive"
    assert alive_text([worker("w1"), worker("w2", alive=False)]) == "1 alive, 1 gone"
