"""Launching and cancelling sweeps against a real queue, store and dispatcher: what is there is not trained again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from engine.code_version import code_version
from engine.errors import InputError
from engine.events import Body, Envelope, EpochFinished, History, RunFailed, RunFinished, RunStarted
from engine.settings import Settings
from engine.sweep import Sweep, expand
from store.client import StoreUnavailable
from tasks import keys, submit, sweeps
from tests.store.lives import summary
from tests.tasks.stack import Stack, wait_for

NUMBER = iter(range(1000, 10_000))


def plan(seeds: int = 2, first: int | None = None, **table: Any) -> Sweep:
    """A sweep of two schemes that no other test has, unless ``first`` says from which seed on."""
    start = next(NUMBER) * 10 if first is None else first
    spec = {"dataset": "karate", "model": "gcn", "scheme": ["fp32", "int8"], "training": {"epochs": 3}}
    return expand({"name": "mine", "seeds": list(range(start, start + seeds)), "spec": spec} | table)


def say(stack: Stack, run: str, *bodies: Body, ago: float = 0.0) -> None:
    """An attempt of the run says this; the first of it so many seconds ago."""
    for seq, body in enumerate(bodies, start=1):
        at = time.time() - (ago if seq == 1 else 0)
        stack.redis.xadd(keys.EVENTS, {"e": Envelope(run=run, attempt=1, seq=seq, at=at, body=body).to_json()})


def started(code: str | None = None) -> RunStarted:
    provenance = {"code": code or code_version()}
    return RunStarted(worker="w", host="h", pid=1, device="cpu", total_epochs=3, provenance=provenance)


FINISHED = RunFinished(summary=summary(), history=History())


def states(stack: Stack, sweep: Sweep) -> list[str]:
    return [row["state"] for row in stack.store.query("sweep_cells", sweep=sweep.id).to_pylist()]


def until(stack: Stack, sweep: Sweep, expected: Sequence[str]) -> None:
    wait_for(lambda: states(stack, sweep) == list(expected), f"the cells are {expected}")


def test_the_same_file_is_the_same_sweep_and_goes_on_with_what_is_not_done(served: Stack) -> None:
    sweep = plan()
    first = sweeps.launch(served.settings, sweep)
    assert (first.launched, first.sweep, len(set(first.runs))) == (4, sweep.id, 4)
    runs = [str(run) for run in first.runs]
    until(served, sweep, ["queued"] * 4)
    rows = [served.row(run) for run in runs]
    assert [(row["seed"], row["scheme"]) for row in rows] == [(spec.seed, spec.scheme) for spec in sweep.runs]
    assert [row["queue_position"] for row in rows] == sorted(row["queue_position"] for row in rows)

    say(served, runs[0], started(), FINISHED)
    say(served, runs[1], started(), RunFailed(reason="no reason"))
    submit.cancel(served.settings, [runs[2]])
    until(served, sweep, ["finished", "failed", "cancelled", "queued"])
    second = sweeps.launch(served.settings, sweep)
    assert (second.launched, second.resumed, second.finished, second.going) == (0, 2, 1, 1)
    assert second.runs == first.runs
    until(served, sweep, ["finished", "queued", "queued", "queued"])

    third = sweeps.launch(served.settings, sweep, again=True)
    assert third.launched == 4
    assert set(third.runs).isdisjoint(runs)
    until(served, sweep, ["queued"] * 4)


def test_what_other_code_has_trained_is_trained_anew(served: Stack) -> None:
    sweep = plan(seeds=1)
    runs = [str(run) for run in sweeps.launch(served.settings, sweep).runs]
    say(served, runs[0], started("other"), FINISHED)
    say(served, runs[1], started("other"), RunFailed(reason="no reason"))
    until(served, sweep, ["finished", "failed"])
    again = sweeps.launch(served.settings, sweep)
    assert (again.launched, set(again.runs) & set(runs)) == (2, set())


def test_going_on_is_only_with_what_is_not_done_whatever_code_trained_it(served: Stack) -> None:
    sweep = plan(budget={"runs": 3})
    runs = [str(run) for run in sweeps.launch(served.settings, sweep).runs]
    say(served, runs[0], started("other"), FINISHED)
    say(served, runs[1], started("other"), RunFailed(reason="no reason"))
    until(served, sweep, ["finished", "failed", "queued", "missing"])
    with pytest.raises(InputError) as caught:
        sweeps.go_on(served.settings, sweep, "mine@0")
    assert str(caught.value) == (
        f"the runs of mine@0 would be others by now ({sweep.id}), so it cannot go on: launch its file again"
    )
    more = expand({**sweep.table, "budget": {"runs": 4}})
    found = sweeps.go_on(served.settings, more, sweep.id)
    assert (found.launched, found.resumed, found.finished, found.going) == (1, 1, 1, 1)
    assert list(found.runs[:3]) == runs[:3]
    until(served, sweep, ["finished", "queued", "queued", "queued"])
    assert all(row["own"] for row in served.store.query("sweep_cells", sweep=sweep.id).to_pylist())


def test_two_do_not_launch_a_sweep_at_once(served: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = plan(seeds=1)
    look = sweeps._look
    refused: list[str] = []

    def meanwhile(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setattr(sweeps, "_look", look)
        for other in (sweeps.launch, partial(sweeps.go_on, launched_as=sweep.id)):
            with pytest.raises(submit.NotNow) as caught:
                other(served.settings, sweep)
            refused.append(str(caught.value))
        return look(*arguments, **options)

    monkeypatch.setattr(sweeps, "_look", meanwhile)
    assert sweeps.launch(served.settings, sweep).launched == 2
    assert set(refused) == {
        f"somebody else is launching the sweep {sweep.id} right now: nothing was launched; try again in a moment"
    }
    assert sweeps.launch(served.settings, sweep).going == 2, "the lock is given back"


def test_nothing_is_launched_while_the_store_is_behind(served: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submit, "CATCH_UP_SECONDS", 0.1)
    monkeypatch.setattr(submit, "_last_entry", lambda redis: (10**15, 0))
    before = len(served.said())
    for again in (False, True):
        with pytest.raises(submit.NotNow) as caught:
            sweeps.launch(served.settings, plan(), again=again)
    assert str(caught.value) == (
        "the store has not heard yet of all that happened, so nobody can say what is there: "
        "nothing was launched; try again in a moment"
    )
    assert len(served.said()) == before


def test_what_was_launched_again_is_cancelled_with_what_it_replaced(served: Stack) -> None:
    sweep = plan(seeds=1)
    replaced = [str(run) for run in sweeps.launch(served.settings, sweep).runs]
    sweeps.launch(served.settings, sweep, again=True)
    assert sweeps.cancel(served.settings, sweep.id) == 4
    until(served, sweep, ["cancelled"] * 2)
    wait_for(lambda: {served.row(run)["state"] for run in replaced} == {"cancelled"}, "the replaced are cancelled")


def test_a_run_of_another_sweep_counts_and_is_not_cancelled_with_this_one(served: Stack) -> None:
    one = plan(seeds=1)
    two = expand({**one.table, "name": "wider", "seeds": [one.runs[0].seed, one.runs[0].seed + 1]})
    mine = sweeps.launch(served.settings, one).runs
    both = sweeps.launch(served.settings, two)
    assert (both.launched, both.going, both.runs[:2]) == (2, 2, mine)
    assert sweeps.cancel(served.settings, two.id) == 2
    until(served, two, ["queued", "queued", "cancelled", "cancelled"])
    assert sweeps.cancel(served.settings, one.id) == 2
    until(served, two, ["cancelled"] * 4)
    assert sweeps.launch(served.settings, two).resumed == 4
    assert sweeps.cancel(served.settings, two.id) == 4  # it had them go on


def test_an_unknown_sweep_is_not_cancelled(served: Stack) -> None:
    with pytest.raises(InputError) as caught:
        sweeps.cancel(served.settings, "none@0")
    assert str(caught.value) == "there is no sweep 'none@0': bitfront list sweeps names them"


def test_a_budget_of_runs_launches_the_first_and_the_rest_once_it_is_raised(served: Stack) -> None:
    sweep = plan(budget={"runs": 3})
    first = sweeps.launch(served.settings, sweep)
    assert (first.launched, first.left_out, first.runs[3]) == (3, 1, None)
    until(served, sweep, ["queued", "queued", "queued", "missing"])
    assert sweeps.launch(served.settings, sweep).launched == 0
    more = expand({**sweep.table, "budget": {"runs": 4}})
    assert more.id == sweep.id
    assert sweeps.launch(served.settings, more).launched == 1
    until(served, sweep, ["queued"] * 4)


def test_what_a_sweep_launched_is_cancelled_when_its_hours_are_spent(served: Stack) -> None:
    sweep = plan(seeds=1, budget={"hours": 1.5})
    runs = [str(run) for run in sweeps.launch(served.settings, sweep).runs]
    served.redis.set(keys.lease(runs[0]), "1:w:x", ex=600)
    say(served, runs[0], started(), EpochFinished(epoch=1), ago=3600)
    until(served, sweep, ["running", "queued"])
    assert sweeps.launch(served.settings, sweep).going == 2, "an hour is less"
    say(served, runs[1], started(), FINISHED, ago=1900)
    until(served, sweep, ["cancelling", "finished"])
    say(served, runs[0], started(), EpochFinished(epoch=1), RunFailed(reason="no reason"))
    until(served, sweep, ["failed", "finished"])
    with pytest.raises(InputError) as caught:
        sweeps.launch(served.settings, sweep)
    assert str(caught.value) == (
        f"the sweep {sweep.id} has spent 1.53 of its 1.5 hours, and 1 of its 2 runs are not done: "
        "raise budget.hours to launch them"
    )
    served.redis.delete(keys.lease(runs[0]))


def test_one_run_of_each_cell_is_measured_once(served: Stack) -> None:
    sweep = plan(measure=True)
    launched = sweeps.launch(served.settings, sweep)
    assert launched.measured == launched.runs[:2]
    assert set(launched.measured) <= set(served.redis.zrange(keys.MEASURE, 0, -1))
    served.redis.delete(keys.MEASURE)


def test_where_nobody_says_what_is_there_nothing_is_launched(queue: Stack, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, redis_url=queue.settings.redis_url)
    with pytest.raises(StoreUnavailable) as caught:
        sweeps.launch(settings, plan())
    assert str(caught.value) == ("no store is running on this home: start it with `bitfront up`; nothing was launched")
    assert queue.said() == []
    assert sweeps.launch(settings, plan(), again=True).launched == 4
    assert len(queue.said()) == 5
    few = sweeps.launch(settings, plan(seeds=5, budget={"runs": 3}), again=True)
    assert (few.launched, few.left_out) == (3, 7)
    sweep = plan()
    with pytest.raises(StoreUnavailable, match=r"; nothing was launched$"):
        sweeps.go_on(settings, sweep, sweep.id)
    assert len(queue.said()) == 9
