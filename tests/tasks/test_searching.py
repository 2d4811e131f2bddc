"""Searches on real workers: on two homes that share a queue, through the death of who drives them, to the report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engine.errors import InputError, RunError
from engine.search.file import read_search
from tasks.searching import ATTEMPTS_SECONDS, MOST_ATTEMPTS, Driven, compared
from tasks.submit import cancel_search, search
from tests.tasks.stack import ENDLESS, Stack, wait_for

pytestmark = pytest.mark.system

TABLE: dict[str, Any] = {
    "name": "karate",
    "epsilon": 60.0,
    "n_mea": 4,
    "n_sample": 50,
    "n_iter": 1,
    "epochs": 2,
    "finalists": 1,
    "final_seeds": 1,
    "confirm": 2,
    "spec": {"dataset": "karate", "model": "gcn", "training": {"epochs": 4}},
    "space": {"granularity": "lwq+cwq+taq", "bits": [2, 4, 8]},
}


@pytest.fixture
def two(stack: Stack, tmp_path: Path) -> Iterator[Stack]:
    """The stack, and a second worker as of another machine: it has a home of its own, and the queue's address."""
    other = Stack(tmp_path / "other", redis_url=stack.settings.redis_url)
    other.store_port = stack.store_port
    other.settings = other.settings.model_copy(update={"store_url": stack.settings.store_url})
    other.start("worker@b")
    yield stack
    other.end_all()


def row(stack: Stack, name: str) -> dict[str, Any]:
    found = stack.store.query("searches", search=name).to_pylist()
    return found[0] if found else {}


def trials(stack: Stack, name: str) -> list[dict[str, Any]]:
    return stack.store.query("trials", search=name).to_pylist()


def test_a_search_on_two_homes_outlives_its_driver_and_a_lost_candidate(two: Stack) -> None:
    name = search(two.settings, read_search(TABLE))
    wait_for(lambda: any(each["stage"] == "measure" for each in trials(two, name)), "candidates are asked for")
    two.kill("dispatcher")
    two.start("dispatcher")
    ended = wait_for(lambda: found if (found := row(two, name)).get("state") != "running" else None, "it ends")
    assert (ended["state"], ended["reason"], ended["unfinished"]) == ("finished", None, 0)

    asked = trials(two, name)
    stages = [each["stage"] for each in asked]
    assert stages == ["reference", "baseline"] + ["measure"] * 8 + ["final"] * 2 + ["confirm"] * 4
    assert [each["run"] for each in asked] == [f"{name}-{number}" for number in range(16)]
    runs = [two.row(each["run"]) for each in asked]
    assert {each["state"] for each in runs} == {"finished"}
    assert {each["worker"] for each in runs} >= {"worker@a", "worker@b"}
    content = {(each["stage"], each["seed"]): each["content"] for each in asked if each["point"] is None}
    assert all(
        json.loads(run["spec"])["training"]["start_from"] == content[each["stage"], each["seed"]]
        for each, run in zip(asked, runs, strict=True)
        if each["stage"] in ("final", "confirm") and each["point"] is not None
    )
    started = {json.loads(each["spec"])["training"].get("start_from") for each in runs[1:10]}
    assert started == {asked[0]["content"]}

    result = json.loads(ended["result"])
    assert (result["measured"], result["full_trainings"]) == (8, 7)
    assert result["saving"] > 1
    assert result["test"]["n"] == 2
    assert result["test"]["seeds"] == [2, 3]
    tests = {each["run"]: each["test_at_best_val"] for each in runs}
    winner = [tests[each["run"]] for each in asked if each["stage"] == "confirm" and each["point"] is not None]
    assert result["test"]["winner"] == pytest.approx(sum(winner) / 2)


def test_a_cancelled_search_asks_for_nothing_more_and_its_runs_end(stack: Stack) -> None:
    endless = {**TABLE["spec"], "training": {"epochs": ENDLESS}}
    name = search(stack.settings, read_search({**TABLE, "spec": endless}))
    wait_for(lambda: trials(stack, name) and trials(stack, name)[0]["state"] == "running", "the fp32 model trains")
    cancel_search(stack.settings, name)
    wait_for(lambda: row(stack, name)["state"] == "cancelled" and not row(stack, name)["unfinished"], "it is cancelled")
    assert [each["stage"] for each in trials(stack, name)] == ["reference"]


def test_the_query_that_a_search_is_told_from_has_no_test_metric(stack: Stack) -> None:
    columns = stack.store.query("trials", search="none").column_names
    assert [name for name in columns if "test" in name] == []
    assert "val_best" in columns


def test_the_report_compares_the_seeds_that_both_have():
    rows = [
        {"seed": 1, "winner": 80.0, "fp32": 81.0},
        {"seed": 2, "winner": 79.0, "fp32": 81.0},
        {"seed": 3, "winner": None, "fp32": 80.0},
    ]
    found = compared(rows)
    assert (found["n"], found["seeds"], found["winner"], found["fp32"]) == (2, [1, 2], 79.5, 81.0)
    assert found["difference"] == -1.5
    # Student's t at 97.5 % with one degree of freedom, times 0.5·√2/√2.
    assert found["difference_ci95"] == pytest.approx(12.7062 * 0.5, rel=1e-5)
    assert compared([]) == {"n": 0}


def driven(*rows: dict[str, Any]) -> Driven:
    """A search of a store that has these rows of trials."""
    return Driven("s", TABLE, lambda _, **__: pa.Table.from_pylist(list(rows)))


def test_what_another_trial_has_measured_is_not_taken_for_this_ones():
    run, scheme = "s-0", driven().step()[0].spec.scheme
    other = {"run": run, "state": "finished", "scheme": "int8", "seed": 99, "point": None, "val_best": 1.0}
    with pytest.raises(RunError) as refused:
        driven(other).step()
    assert str(refused.value) == (
        f"trial 0 was int8 with seed 99, and would now be {scheme} with seed 0: the search cannot go on from what it "
        "has measured; start it anew under another name"
    )


def test_a_run_that_the_store_does_not_take_is_not_said_for_ever(monkeypatch: pytest.MonkeyPatch):
    search, now = driven(), 0.0
    monkeypatch.setattr("tasks.searching.time.monotonic", lambda: now)
    for _ in range(MOST_ATTEMPTS):
        assert [trial.number for trial in search.step()] == [0]
        assert search.step() == []
        now += ATTEMPTS_SECONDS + 1
    with pytest.raises(RunError, match=r"^the store has not taken the run s-0 in 12 tries: its log"):
        search.step()


def test_nsga2_needs_two_points_a_generation():
    with pytest.raises(InputError) as refused:
        read_search(TABLE | {"algorithm": "nsga2", "n_mea": 1})
    assert "n_mea = 1 is not allowed with nsga2, whose generations are n_mea points: 2 at least" in str(refused.value)
