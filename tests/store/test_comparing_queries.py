"""The queries behind Compare: results run by run, what groups share, their curves."""

from __future__ import annotations

import json

import duckdb
import pytest

from store.edits import RunEdit, edit_run
from store.ingest import apply_batch
from tests.store import lives
from tests.store.tables import ask


def apply(connection: duckdb.DuckDBPyConnection, *batches: list) -> None:
    for batch in batches:
        assert apply_batch(connection, lives.received(batch)).dead == 0


def test_a_result_says_which_run_counts_and_holds_one_scope(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0", test=80), lives.finished("r1", test=70), [lives.queued("r2", seed=1)])
    connection.execute("UPDATE runs SET ended_at = ended_at + INTERVAL 1 HOUR WHERE run = 'r1'")
    found = {row["run"]: row for row in ask(connection, "results")}
    assert {run: row["counted"] for run, row in found.items()} == {"r0": False, "r1": True, "r2": False}
    assert len({row["group_id"] for row in found.values()}) == 1
    row = found["r1"]
    assert [row[name] for name in ("test", "last", "max", "val")] == [70, 69, 72, 71]
    assert (row["memory_density"], row["state"], row["task"], row["fold"]) == (
        4,
        "finished",
        "node-classification",
        None,
    )
    assert found["r2"]["test"] is None
    assert {row["memory_density"] for row in ask(connection, "results", scope="inference")} == {5, None}
    assert {row["memory_density"] for row in ask(connection, "results", coverage="whole step")} == {2, None}
    assert ask(connection, "results", scope="inference", coverage="whole step")[0]["memory_density"] is None


def test_a_result_is_found_by_everything_said_of_it(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0", sweep="Night"))
    connection.execute("UPDATE runs SET name = 'Best', tags = ['Paper'], notes = 'Odd'")
    assert ask(connection, "results")[0]["about"] == "r0 best karate gcn int8 night paper odd"


def test_a_result_names_every_sweep_that_it_stands_for_a_cell_of(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0", sweep="older"), lives.finished("r1", seed=1))
    before = ask(connection, "revision")
    apply(connection, [lives.launched("a", [("r0", False)]), lives.launched("b", [("r0", False), (None, False)])])
    assert ask(connection, "revision") != before
    found = {row["run"]: (row["sweep"], sorted(row["sweeps"])) for row in ask(connection, "results")}
    assert found == {"r0": ("older", ["a", "b", "older"]), "r1": (None, [])}


def test_what_a_search_only_fine_tuned_is_left_out_unless_asked_for(connection: duckdb.DuckDBPyConnection) -> None:
    stages = ("reference", "baseline", "few", "measure", "final", "confirm")
    apply(connection, *(lives.finished(f"s-{number}", seed=number) for number in range(6)), lives.finished("r", seed=9))
    for number, stage in enumerate(stages):
        connection.execute(
            "INSERT INTO trials (search, number, run, stage, batch, scheme, seed) VALUES ('s', ?, ?, ?, 0, 'int8', 0)",
            [number, f"s-{number}", stage],
        )
    assert {row["run"] for row in ask(connection, "results")} == {"s-0", "s-4", "s-5", "r"}
    assert len(ask(connection, "results", candidates="shown")) == 7


def test_what_a_group_shares_has_no_seed(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0", seed=0), lives.finished("r1", seed=1))
    (row,) = ask(connection, "group_specs")
    spec = json.loads(row["spec"])
    assert spec["scheme"] == "int8"
    assert "seed" not in spec
    assert ask(connection, "group_specs", groups="none") == []


def test_curves_are_means_over_a_groups_runs(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.finished("r0", seed=0), lives.finished("r1", seed=1), lives.finished("r2", seed=2))
    connection.execute("UPDATE epochs SET val_loss = val_loss + 1 WHERE run = 'r1'")
    connection.execute("UPDATE epochs SET val_loss = 99 WHERE run = 'r2'")
    connection.execute("DELETE FROM epochs WHERE run = 'r1' AND epoch = 3")
    members = ["a:r0", "a:r1", "b:r2"]
    rows = [row for row in ask(connection, "group_curves", members=members) if row["group_id"] == "a"]
    assert [(row["epoch"], row["n"], row["mean"], row["low"], row["high"]) for row in rows] == [
        (1, 2, 2.5, 2, 3),
        (2, 2, 1.5, 1, 2),
        (3, 1, pytest.approx(2 / 3), pytest.approx(2 / 3), pytest.approx(2 / 3)),
    ]
    assert [row["std"] for row in rows] == [pytest.approx(0.5**0.5), pytest.approx(0.5**0.5), None]
    assert [row["mean"] for row in ask(connection, "group_curves", members="a:r0", quantity="test_metric")] == [
        31,
        61,
        91,
    ]
    assert ask(connection, "group_curves", members=members, quantity="average_bits") == []


def test_a_cloned_run_names_its_parent(connection: duckdb.DuckDBPyConnection) -> None:
    clone = lives.event("r1", 0, 0, lives.RunQueued(spec=lives.spec(seed=3), parent="r0"))
    apply(connection, lives.finished("r0"), [clone])
    assert [ask(connection, "run", run=run)[0]["parent"] for run in ("r0", "r1")] == [None, "r0"]


def test_the_revision_is_another_one_after_every_change(connection: duckdb.DuckDBPyConnection) -> None:
    seen = [ask(connection, "revision")[0]["revision"]]

    def changed() -> bool:
        seen.append(ask(connection, "revision")[0]["revision"])
        return seen[-1] not in seen[:-1]

    apply(connection, [lives.queued("r0")])
    assert changed()
    apply(connection, lives.attempt_of("r0"))
    assert changed()
    edit_run(connection, "r0", RunEdit(tags=["paper"]))
    assert changed()
    edit_run(connection, "r0", RunEdit(notes="odd"))
    assert changed()
    apply(connection, lives.finished("r1"))
    assert changed()
    assert not changed()
