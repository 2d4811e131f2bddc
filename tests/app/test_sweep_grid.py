"""A sweep's grid and its sentences."""

from __future__ import annotations

from typing import Any

import pytest

from app.sweep_grid import budget_text, counts_text, left_text, make_grid
from engine.sweep import Sweep, expand


def cells(sweep: Sweep, *states: str) -> list[dict[str, Any]]:
    """The rows of a sweep whose runs have these states, in the order of service."""
    return [
        {
            "group_id": spec.group,
            "dataset": spec.dataset.name,
            "model": spec.model.name,
            "scheme": spec.scheme,
            "run": None if state == "missing" else f"r{place}",
            "state": state,
        }
        for place, (spec, state) in enumerate(zip(sweep.runs, states, strict=True))
    ]


def test_seeds_are_counted_together_in_schemes_down_and_places_across():
    spec = {"dataset": ["cora", "karate"], "model": "gcn", "scheme": ["fp32", "int8"]}
    sweep = expand({"seeds": 2, "spec": spec, "exclude": [{"dataset": "karate", "scheme": "int8"}]})
    grid = make_grid(cells(sweep, "finished", "finished", "finished", "failed", "missing", "running"))
    assert (grid.schemes, grid.places) == (("fp32", "int8"), ("cora · gcn", "karate · gcn"))
    found = {key: (cell.text, cell.state, cell.runs) for key, cell in grid.cells.items()}
    assert found == {
        ("fp32", "cora · gcn"): ("1 of 2 · 1 failed", "failed", ("r0", "r3")),
        ("int8", "cora · gcn"): ("1 of 2 · 1 missing", "missing", ("r1",)),
        ("fp32", "karate · gcn"): ("1 of 2 · 1 running", "running", ("r2", "r5")),
    }


def test_places_of_one_name_are_told_apart_by_their_settings():
    sweep = expand({"spec": {"dataset": "cora", "model": ["gcn", "gcn(hidden=8)"], "training": {"lr": [0.01, 0.1]}}})
    rows = cells(sweep, *["finished"] * 4)
    names = ("cora · gcn", "cora · gcn · lr=0.1", "cora · gcn(hidden=8)", "cora · gcn(hidden=8) · lr=0.1")
    assert make_grid(rows, sweep.cells).places == names
    assert make_grid(rows).places == ("cora · gcn",), "where nobody knows the specs"


def row(**changes: Any) -> dict[str, Any]:
    states = dict.fromkeys(("failed", "cancelled", "running", "queued", "missing"), 0)
    rest = {"seconds_left": None, "hours": 0.0, "most_hours": None, "most_runs": None}
    return {"total": 10, "finished": 10, **states, **rest, **changes}


def test_counts_name_only_what_there_is():
    assert counts_text(row()) == "10 of 10 runs finished"
    assert counts_text(row(finished=4, running=2, queued=3, failed=1)) == (
        "4 of 10 runs finished · 2 running · 3 queued · 1 failed"
    )


@pytest.mark.parametrize(
    ("changes", "workers", "text"),
    [
        ({}, 2, ""),
        ({"queued": 1}, 2, "time left unknown: nothing has finished yet"),
        ({"queued": 2, "seconds_left": 240.0}, 2, "about 2 min left on 2 workers"),
        ({"queued": 1, "seconds_left": 240.0}, 2, "about 4 min left on 1 worker"),
        ({"running": 1, "seconds_left": 240.0}, 1, "about 4 min left on 1 worker"),
        ({"queued": 1, "seconds_left": 240.0}, 0, "about 4 min of work left, and no worker is alive"),
    ],
)
def test_the_time_left_is_shared_by_the_workers(changes: dict[str, Any], workers: int, text: str):
    assert left_text(row(**changes), workers) == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, ""),
        ({"most_hours": 2.0, "hours": 0.5}, "0.50 of 2 worker hours spent"),
        (
            {"most_hours": 2.0, "hours": 2.01, "finished": 9, "cancelled": 1},
            "2.01 of 2 worker hours spent: what was not done is cancelled",
        ),
        ({"most_runs": 7, "missing": 3}, "at most 7 runs: 3 left out"),
    ],
)
def test_a_budget_says_what_is_spent(changes: dict[str, Any], text: str):
    assert budget_text(row(**changes)) == text
