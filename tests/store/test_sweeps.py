"""Sweeps in the store: which run stands for which cell, how far they are, what they have cost."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pytest
import structlog

from engine.events import RunCancelled
from engine.settings import Settings
from store.database import open_for_writing
from store.ingest import Applied, apply_batch
from store.rebuild import rebuild
from store.records import write_due_records
from store.sweep_records import write_due_sweeps
from tests.store import lives
from tests.store.tables import ask, rows


def apply(connection: duckdb.DuckDBPyConnection, *events) -> Applied:
    return apply_batch(connection, lives.received(events))


def cells(connection: duckdb.DuckDBPyConnection, sweep: str) -> list[tuple]:
    return [(row["run"], row["state"], row["own"]) for row in ask(connection, "sweep_cells", sweep=sweep)]


def test_a_run_counts_in_every_sweep_that_it_stands_in(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, *lives.finished("r0", sweep="a"), lives.queued("r1", sweep="b", seed=1))
    apply(connection, lives.launched("a", [("r0", True)]))
    apply(connection, lives.launched("b", [("r0", False), ("r1", True), (None, False)], at=lives.BEGAN + 1))
    assert cells(connection, "a") == [("r0", "finished", True)]
    assert cells(connection, "b") == [("r0", "finished", False), ("r1", "queued", True), (None, "missing", False)]
    for sweep, runs in (("a", ["r0"]), ("b", ["r0", "r1"])):
        assert sorted(row["run"] for row in ask(connection, "runs", sweep=sweep)) == runs
        assert sorted(row["run"] for row in ask(connection, "sweep", sweep=sweep)) == runs
        assert [row["n"] for row in ask(connection, "groups", sweep=sweep)] == [1]
    found = [(row["sweep"], row["total"], row["finished"], row["queued"], row["missing"]) for row in sweeps(connection)]
    assert found == [("b", 3, 1, 1, 1), ("a", 1, 1, 0, 0)]
    assert {(row["value"], row["n"]) for row in ask(connection, "facets") if row["kind"] == "sweep"} == {
        ("a", 1),
        ("b", 2),
    }


def sweeps(connection: duckdb.DuckDBPyConnection) -> list[dict]:
    return ask(connection, "sweeps")


def test_a_newer_launch_replaces_the_older_whichever_comes_first(connection: duckdb.DuckDBPyConnection) -> None:
    old = lives.launched("a", [("r0", True), ("r1", True)])
    new = lives.launched("a", [("r2", True), ("r1", True)], at=lives.BEGAN + 5)
    apply(connection, *(lives.queued(run, sweep="a") for run in ("r0", "r1", "r2")), new)
    assert apply(connection, new, old, new) == Applied(applied=1, dropped=2)
    assert [run for run, _, _ in cells(connection, "a")] == ["r2", "r1"]
    assert len(rows(connection, "sweep_cells")) == 2


def test_a_sweep_of_an_older_bitfront_is_the_runs_that_bear_its_name(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued("r0", sweep="a"), *lives.failed("r1"))
    assert cells(connection, "a") == [("r0", "queued", True)]
    (row,) = ask(connection, "sweeps", sweep="a")
    assert (row["total"], row["queued"], row["plan"], row["name"]) == (1, 1, None, "a")


def test_a_deleted_run_leaves_its_cell_missing(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, *lives.finished("r0", sweep="a"), lives.launched("a", [("r0", True)]))
    connection.execute("DELETE FROM runs WHERE run = 'r0'")
    assert cells(connection, "a") == [("r0", "missing", False)]
    assert [(row["total"], row["missing"]) for row in sweeps(connection)] == [(1, 1)]


def test_time_left_follows_from_finished_runs_that_are_alike(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued("r1", sweep="a", seed=1, training={"epochs": 30}))
    assert ask(connection, "sweeps", sweep="a")[0]["seconds_left"] is None
    done = lives.finished("r0", scheme="fp32", sweep="b")  # three epochs
    apply(connection, *done)
    took = done[-1].at - next(event.at for event in done if event.body.type == "run_started")
    assert ask(connection, "sweeps", sweep="a")[0]["seconds_left"] == pytest.approx(30 * took / 3)
    same = lives.finished("r2", sweep="b", training={"epochs": 30})
    apply(
        connection, *(event.model_copy(update={"at": event.at + 7}) if event is same[-1] else event for event in same)
    )
    assert ask(connection, "sweeps", sweep="a")[0]["seconds_left"] == pytest.approx(30 * (took + 7) / 3)


def test_hours_are_those_of_workers_on_what_the_sweep_launched(connection: duckdb.DuckDBPyConnection) -> None:
    def attempt(run: str, number: int, seconds: float) -> list:
        begun = lives.started(run, number)
        end = lives.event(run, number, 2, RunCancelled(), begun.at + seconds)
        return [begun, end.model_copy(update={"body": lives.row(1), "at": begun.at + seconds})]

    apply(connection, *(lives.queued(run, sweep=sweep) for run, sweep in (("r0", "a"), ("r1", "a"), ("r2", "b"))))
    apply(connection, *attempt("r0", 1, 900), *attempt("r0", 2, 900), *attempt("r2", 1, 3600))
    apply(connection, lives.launched("a", [("r0", True), ("r1", True), ("r2", False)], hours=0.6))
    (row,) = ask(connection, "sweeps", sweep="a")
    assert (row["hours"], row["most_hours"]) == (pytest.approx(0.5), 0.6)
    assert ask(connection, "overspent") == []
    apply(connection, lives.launched("a", [("r0", True), ("r1", True), ("r2", False)], at=lives.BEGAN + 1, hours=0.5))
    assert [row["run"] for row in ask(connection, "overspent")] == ["r0", "r1"]


def test_a_run_that_another_replaced_is_overspent_too(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, *(lives.queued(run, sweep="a") for run in ("r0", "r1")), lives.queued("r2", sweep="b"))
    begun = lives.started("r0", 1)
    apply(connection, begun, lives.event("r0", 1, 2, lives.row(1), begun.at + 3600))
    apply(connection, lives.launched("a", [("r1", True), ("r2", False)], hours=1.0))
    assert [row["run"] for row in ask(connection, "overspent")] == ["r0", "r1"]


def test_alike_are_runs_of_the_same_spec_with_the_code_that_trained_them(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued("r0"), lives.started("r0", code="c1"), lives.queued("r1", seed=1))
    found = lives.launched("a", [("r0", True), ("r1", True)]).body.cells  # pyright: ignore
    rows = ask(connection, "alike", groups=[found[0].group])
    assert {(row["run"], row["hash"], row["state"], row["code"]) for row in rows} == {
        ("r0", found[0].hash, "running", "c1"),
        ("r1", found[1].hash, "queued", None),
    }
    assert ask(connection, "alike", groups=["another"]) == []


def test_a_rebuilt_database_knows_which_run_stands_for_which_cell(
    settings: Settings, connection: duckdb.DuckDBPyConnection
) -> None:
    sweep = "../a name@0"
    apply(connection, *lives.finished("r0", sweep="b"), lives.launched(sweep, [("r0", False), (None, False)], hours=2))
    assert write_due_records(connection, settings.records) == 1
    assert write_due_sweeps(connection, settings.sweep_records) == 1
    assert write_due_sweeps(connection, settings.sweep_records) == 0, "it is on disk"
    before = {table: rows(connection, table) for table in ("sweeps", "sweep_cells")}
    assert before["sweeps"][0]["recorded"]
    apply(connection, lives.launched(sweep, [("r0", False)], at=lives.BEGAN + 1))
    assert write_due_sweeps(connection, settings.sweep_records) == 1, "a newer launch is due again"
    apply(connection, lives.launched(sweep, [("r0", False), (None, False)], at=lives.BEGAN + 2, hours=2))
    write_due_sweeps(connection, settings.sweep_records)
    connection.close()
    (settings.sweep_records / "broken.json").write_text("{")
    with structlog.testing.capture_logs() as logs:
        assert rebuild(settings) == 1
    assert len(logs) == 1
    assert f"{settings.sweep_records / 'broken.json'} cannot be read: JSONDecodeError" in logs[0]["event"]
    anew = open_for_writing(settings.database)
    launched = datetime.fromtimestamp(lives.BEGAN + 2, UTC)
    assert rows(anew, "sweeps") == [{**before["sweeps"][0], "launched_at": launched}]
    assert rows(anew, "sweep_cells") == before["sweep_cells"]
    assert cells(anew, sweep) == [("r0", "finished", False), (None, "missing", False)]
    anew.close()
