"""A run's log: what happened, in its order."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

from app.run_log import log_of, log_table, log_text
from store.ingest import apply_batch
from tests.store import lives
from tests.store.conftest import connection, empty_database
from tests.store.tables import ask

__all__ = ["connection", "empty_database"]


def events(connection: duckdb.DuckDBPyConnection, run: str) -> list[tuple[str, str]]:
    row: dict[str, Any] = ask(connection, "run", run=run)[0]
    found = log_of(row, ask(connection, "switches", runs=run), ask(connection, "measurements", runs=run))
    return [(what, words) for _, what, words in found]


@pytest.fixture
def remember(connection: duckdb.DuckDBPyConnection):
    return lambda *batches: [apply_batch(connection, lives.received(batch)) for batch in batches]


def test_a_whole_life_is_told(connection: duckdb.DuckDBPyConnection, remember) -> None:
    remember([*lives.finished("r0", sweep="night"), lives.measured("r0")])
    told = events(connection, "r0")
    assert [what for what, _ in told] == ["queued", "started", "precision", "finished", "measured"]
    assert told[0][1] == "with priority 5, of the sweep night"
    assert told[1][1] == "attempt 1 on w1 (here, cpu)"
    assert told[2][1] == "epoch 1: int8, start"
    assert told[3][1] == "attempt 1 after 3 epochs, 1.5 s of training, peak memory 1.00 MB"


def test_where_hosts_are_private_none_is_named(connection: duckdb.DuckDBPyConnection, remember) -> None:
    remember([*lives.finished("r0"), lives.measured("r0")])
    row = ask(connection, "run", run="r0")[0]
    row["attempts_detail"] = row["attempts_detail"].replace('"host":"here"', '"host":null')
    measured = [each | {"host": None} for each in ask(connection, "measurements", runs="r0")]
    told = [words for _, _, words in log_of(row, [], measured)]
    assert told[1] == "attempt 1 on w1 (cpu)"
    assert told[-1] == "on a processor, see What it costs"


def test_a_failure_says_its_reason_and_an_attempt_that_was_lost_is_named(
    connection: duckdb.DuckDBPyConnection, remember
) -> None:
    remember([lives.queued("r1"), lives.started("r1"), lives.event("r1", 1, 2, lives.row(1)), lives.started("r1", 2)])
    remember(lives.failed("r2"))
    assert events(connection, "r1")[2] == ("lost", "attempt 1 at epoch 1: its worker was not heard from")
    assert events(connection, "r2")[-1] == ("failed", "attempt 1 after 1 epochs: the loss is no longer a finite number")


def test_a_clone_names_its_parent_and_a_log_is_a_file(connection: duckdb.DuckDBPyConnection, remember) -> None:
    remember([lives.event("r3", 0, 0, lives.RunQueued(spec=lives.spec(), parent="r0", origin="local"))])
    row = ask(connection, "run", run="r3")[0]
    found = log_of(row, [], [])
    assert log_table(found)[""].tolist() == ["trained by whoever launched it, cloned from r0"]
    assert log_text(found) == f"{row['submitted_at']:%Y-%m-%d %H:%M:%S}  queued     {found[0][2]}\n"
