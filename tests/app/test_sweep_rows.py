"""A sweep's tables: the list, its runs with their results, why some failed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.sweep_grid import make_grid
from app.sweep_rows import cell_table, failures, grid_table, sweep_table
from engine.sweep import expand
from tests.app.test_sweep_grid import cells as grid_cells

AT = datetime(2026, 6, 1, tzinfo=UTC)


def row(**changes: Any) -> dict[str, Any]:
    states = dict.fromkeys(("finished", "failed", "cancelled", "running", "queued", "missing"), 0)
    rest = {"sweep": "mine@1", "total": 4, "seconds_left": None, "hours": 0.5, "first_submitted": AT}
    return states | rest | changes


@pytest.mark.parametrize(
    ("changes", "workers", "said"),
    [
        ({"finished": 4}, 2, ""),
        ({"queued": 4}, 2, "unknown"),
        ({"queued": 4, "seconds_left": 60.0}, 2, "30 s"),
        ({"queued": 4, "seconds_left": 60.0}, 0, "1 min, no worker"),
    ],
)
def test_the_list_says_what_is_left(changes: dict[str, Any], workers: int, said: str) -> None:
    assert sweep_table([row(**changes)], workers)["Time left"].tolist() == [said]


def cell(run: str | None, state: str, **changes: Any) -> dict[str, Any]:
    found = {"scheme": "int8", "dataset": "karate", "model": "gcn", "seed": 0, "fold": None, "own": True, "epoch": 3}
    return found | {"total_epochs": 3, "reason": None, "code": "abc", "run": run, "state": state} | changes


def test_each_run_of_a_cell_has_its_id_state_and_result() -> None:
    cells = [cell("r0", "finished"), cell("r1", "failed", seed=1, reason="too hot"), cell(None, "missing", seed=2)]
    runs = [{"run": "r0", "metric": "accuracy", "unit": "%", "test_at_best_val": 80.5, "synthetic": True}]
    found = cell_table(cells, runs)
    assert found[["Seed", "State", "Run", "Reason"]].fillna("").values.tolist() == [
        [0, "finished", "r0", ""],
        [1, "failed", "r1", "too hot"],
        [2, "missing", "", ""],
    ]
    assert found["Test at best val."].fillna(-1.0).tolist() == [80.5, -1.0, -1.0]
    assert found["synthetic"].tolist() == [True, False, False], "a file's name says so where one of them is"


def test_the_grid_has_a_column_a_place() -> None:
    sweep = expand({"spec": {"dataset": "cora", "model": ["gcn", "gat"], "scheme": ["fp32", "int8"]}})
    grid = make_grid(grid_cells(sweep, "finished", "failed", "finished", "missing"))
    assert grid_table(grid).to_dict("list") == {
        "Scheme": ["fp32", "int8"],
        "cora · gcn": ["1 of 1", "0 of 1 · 1 failed"],
        "cora · gat": ["1 of 1", "0 of 1 · 1 missing"],
    }


def test_a_reason_is_told_once_the_most_frequent_first() -> None:
    rows = [cell("a", "failed"), *[cell(run, "failed", reason="too hot") for run in "bc"], cell("d", "finished")]
    assert failures(rows) == {"too hot": "2 runs failed", "no reason was given": "1 run failed"}
