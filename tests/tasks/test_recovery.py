"""What dies while runs are going: a worker, the store, the queue. Nothing is lost, nothing ends twice."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest

import engine
from store.backup import backup, restore
from store.database import open_for_reading
from tasks import keys
from tasks.submit import cancel, resume
from tests.tasks.stack import ENDLESS, TOKEN, Stack, karate, wait_for

pytestmark = pytest.mark.chaos
SLOW = "sage(dropout=0.5)"
"""The model of runs that are disturbed in their middle: some milliseconds an epoch, on the plain path of training."""


def _whole(stack: Stack, run: str, epochs: int) -> None:
    assert stack.epochs(run) == list(range(1, epochs + 1))
    assert stack.row(run)["gap"] is False


def test_a_backup_taken_while_a_run_trains_is_consistent_and_goes_back(stack: Stack, tmp_path: Path) -> None:
    """Each copy is one moment of the tables; the run that it knows in its middle ends again, as it did."""
    settings = stack.settings.model_copy(update={"store_token": TOKEN})
    [run] = stack.launch(karate(epochs=1500, model=SLOW))
    middles = []
    for number in range(1, 4):
        # Events come in batches: each copy is of a later one.
        stack.until_epoch(run, max(30 * number, middles[-1][0] + 1 if middles else 0))
        copy = open_for_reading(backup(settings, tmp_path / f"{number}.duckdb"))
        found = copy.execute(
            "SELECT r.state, a.state, a.gap, a.seq - a.epoch, a.epoch, a.epochs, "
            "(SELECT list(epoch ORDER BY epoch) FROM epochs WHERE run = $1) "
            "FROM runs r JOIN attempts a USING (run, attempt) WHERE run = $1",
            [run],
        ).fetchall()
        copy.close()
        [(state, attempt, gap, others, epoch, epochs, rows)] = found
        assert (state, attempt, gap) == ("running", "running", False)
        assert rows == list(range(1, epoch + 1))
        assert epochs == epoch
        middles.append((epoch, others))
    assert sorted(set(middles)) == middles  # the run went on meanwhile
    stack.until(run, "finished")
    before = stack.losses(run)

    stack.end("store")
    restore(settings, tmp_path / "2.duckdb")
    stack.start("store")
    assert stack.until(run, "finished", "failed")["state"] == "finished"
    _whole(stack, run, 1500)
    assert stack.losses(run) == before


def test_a_killed_workers_run_finishes_in_a_second_attempt_of_another(stack: Stack) -> None:
    """It goes on where the killed one was, ends with the numbers of a run that nobody disturbed, and leaves nothing
    of what it kept on the way."""
    spec = karate(epochs=120, scheme="adq[int3,int8](theta=0.8)+dq+sr", model=SLOW)
    [run] = stack.launch(spec)
    left = stack.home / "artifacts" / run / "1" / "checkpoint.pt"
    wait_for(left.exists, "the run's first checkpoint")
    stack.kill("worker@a")  # its lease outlives it for 15 s, and nothing is done before
    stack.start("worker@b")
    try:
        row = stack.until(run, "finished", "failed")
        assert (row["state"], row["attempt"], row["attempts"], row["worker"]) == ("finished", 2, 2, "worker@b")
        _whole(stack, run, 120)
        assert "goes on from a checkpoint" in stack.log("worker@b").read_text()
        left_over = sorted(path.name for path in (stack.home / "artifacts" / run).rglob("*.*"))
        assert left_over == ["model.json", "model.safetensors"]  # of the second attempt
        undisturbed = engine.run(spec, stack.settings).history.columns
        assert stack.losses(run) == undisturbed["train_loss"]
    finally:
        stack.end("worker@b")


def test_a_run_whose_training_process_is_killed_starts_again_on_the_same_worker(stack: Stack) -> None:
    """As the system does where memory runs out: the worker lives, its child does not."""
    [run] = stack.launch(karate(epochs=800, model=SLOW))
    stack.until_epoch(run, 5)
    children = psutil.Process(stack.processes["worker@a"].pid).children()
    [child] = [child for child in children if "billiard.spawn" in " ".join(child.cmdline())]
    child.kill()
    psutil.wait_procs([child])
    stack.redis.delete(keys.lease(run))  # as if 15 s had passed
    row = stack.until(run, "finished", "failed")
    assert (row["state"], row["attempts"], row["worker"]) == ("finished", 2, "worker@a")
    _whole(stack, run, 800)


def test_a_stopped_worker_hands_its_run_back_at_once(stack: Stack) -> None:
    [run] = stack.launch(karate(epochs=ENDLESS))
    stack.until_epoch(run, 5)
    assert stack.end("worker@a") == 0
    assert stack.redis.exists(keys.lease(run)) == 0
    assert stack.redis.hgetall(keys.given_back(run)) == {"count": "1", "attempt": "1"}
    stack.start("worker@a")
    stack.until_epoch(run, 1, attempt=2)
    cancel(stack.settings, [run])
    stack.until(run, "cancelled")


def test_a_store_that_is_killed_in_the_middle_loses_nothing(stack: Stack) -> None:
    [run] = stack.launch(karate(epochs=800, model=SLOW))
    stack.until_epoch(run, 20)
    stack.kill("store")
    wait_for(lambda: f"{run}:1] succeeded" in stack.log("worker@a").read_text(), "the run ends without the store")
    stack.start("store")
    row = stack.until(run, "finished", "failed")
    assert (row["state"], row["attempts"]) == ("finished", 1)
    _whole(stack, run, 800)


def test_a_queue_that_is_killed_in_the_middle_loses_nothing(stack: Stack) -> None:
    [run] = stack.launch(karate(epochs=800, model=SLOW))
    stack.until_epoch(run, 20)
    stack.kill("queue")
    stack.start("queue")
    row = stack.until(run, "finished", "failed")
    assert (row["state"], row["attempts"]) == ("finished", 1)
    _whole(stack, run, 800)
    [after] = stack.launch(karate(epochs=3))
    assert stack.until(after, "finished", "failed")["state"] == "finished"


def test_an_emptied_queue_is_filled_again_from_the_store(stack: Stack) -> None:
    [running] = stack.launch(karate(epochs=ENDLESS))
    stack.until_epoch(running, 5)
    [waiting] = stack.launch(karate(epochs=3))
    wait_for(lambda: stack.redis.llen(f"{keys.queue('cpu')}:5"), "the second run's message waits")
    stack.redis.flushall()
    wait_for(lambda: stack.redis.llen(f"{keys.queue('cpu')}:5"), "its message is sent again")
    wait_for(lambda: stack.redis.get(keys.lease(running)), "the running run's lease is taken again")
    cancel(stack.settings, [running])
    assert stack.until(running, "cancelled")["attempts"] == 1
    assert stack.until(waiting, "finished", "failed")["state"] == "finished"


def test_a_killed_dispatcher_is_replaced_by_one_that_stands_by(stack: Stack) -> None:
    stack.kill("dispatcher")
    stack.start("dispatcher")
    [run] = stack.launch(karate(epochs=3))
    assert stack.until(run, "finished", "failed", seconds=30)["state"] == "finished"


def test_a_suspended_workers_run_goes_on_elsewhere_and_it_overwrites_nothing(stack: Stack) -> None:
    """It wakes while the newer attempt trains: that one's events, checkpoints and model are the run's."""
    try:
        spec = karate(epochs=120, scheme="dq-int8", model=SLOW)
        [run] = stack.launch(spec)
        stack.until_epoch(run, 5)
        asleep = psutil.Process(stack.processes["worker@a"].pid)
        family = [asleep, *asleep.children(recursive=True)]
        for process in family:
            process.suspend()
        stack.redis.delete(keys.lease(run))  # as if 15 s had passed
        stack.start("worker@b")
        newer = stack.home / "artifacts" / run / "2" / "checkpoint.pt"
        wait_for(newer.exists, "the newer attempt's first checkpoint")
        for process in family:
            process.resume()
        row = stack.until(run, "finished", "failed")
        assert (row["state"], row["attempt"], row["attempts"], row["worker"]) == ("finished", 2, 2, "worker@b")
        _whole(stack, run, 120)
        wait_for(lambda: f"{run}:1] succeeded" in stack.log("worker@a").read_text(), "the one that slept has noticed")
        assert f"lost run={run} attempt=1" in stack.log("worker@a").read_text()
        assert stack.losses(run) == engine.run(spec, stack.settings).history.columns["train_loss"]
        assert sorted(path.name for path in (stack.home / "artifacts" / run / "2").iterdir()) == [
            "model.json",
            "model.safetensors",
        ]
    finally:
        stack.end("worker@b")


def test_a_cancelled_run_is_resumed_where_it_was(stack: Stack) -> None:
    spec = karate(epochs=120, scheme="dq-int8", model=SLOW)
    [run] = stack.launch(spec)
    stack.until_epoch(run, 5)
    cancel(stack.settings, [run])
    row = stack.until(run, "cancelled")
    assert row["epoch"] < 120
    resume(stack.settings, {run: row["attempt"]})
    row = stack.until(run, "finished", "failed")
    assert (row["state"], row["attempt"], row["reason"]) == ("finished", 2, None)
    _whole(stack, run, 120)
    assert f"goes on from a checkpoint run={run} attempt=2" in stack.log("worker@a").read_text()
    assert stack.losses(run) == engine.run(spec, stack.settings).history.columns["train_loss"]


def test_a_run_whose_process_is_killed_in_each_attempt_says_so_with_the_memory(stack: Stack) -> None:
    """As the system kills what takes too much of it."""
    [run] = stack.launch(karate(epochs=ENDLESS))
    stack.redis.set(keys.claimed(run), 2, ex=600)  # two attempts died before their first word
    wait_for(lambda: stack.redis.hget(keys.used(run), "memory"), "its memory was seen")
    [child] = [
        child
        for child in psutil.Process(stack.processes["worker@a"].pid).children()
        if "billiard.spawn" in " ".join(child.cmdline())
    ]
    child.kill()
    wait_for(lambda: stack.redis.hget(keys.used(run), "end"), "its end was seen")
    stack.redis.delete(keys.lease(run))  # as if 15 s had passed
    reason = stack.until(run, "failed")["reason"]
    assert re.fullmatch(
        r"killed three times \(SIGKILL\); memory \d+\.\d of \d+\.\d GB, on worker@a: "
        r"look into the workers' logs for the cause",
        reason,
    ), reason
