"""Runs through real workers: each ends once, in the right state, with its whole history."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import engine
from tasks import keys
from tasks.queue import TRAIN, make_celery, task_id
from tasks.submit import cancel
from tests.tasks.stack import ENDLESS, Stack, karate, wait_for


def test_a_launched_run_finishes(stack: Stack) -> None:
    [run] = stack.launch(karate(epochs=20))
    row = stack.until(run, "finished", "failed", "cancelled")
    assert (row["state"], row["attempt"], row["gap"], row["epoch"]) == ("finished", 1, False, 20)
    assert row["worker"] == "worker@a"
    assert stack.epochs(run) == list(range(1, 21))
    wait_for(lambda: stack.redis.exists(keys.lease(run), keys.sent(run)) == 0, "the worker gives its lease back")


def test_a_finished_run_leaves_its_model(stack: Stack) -> None:
    """Said before the run's end, whole, and equal to what the same run leaves anywhere."""
    spec = karate(epochs=20, scheme="dq-int8")
    [run] = stack.launch(spec)
    stack.until(run, "finished")
    folder = stack.home / "artifacts" / run / "1"
    kinds = {row["kind"]: row for row in stack.store.query("artifacts", run=run).to_pylist()}
    for kind, name in (("model", "model.safetensors"), ("manifest", "model.json")):
        data = (folder / name).read_bytes()
        said = kinds[kind]
        assert (said["name"], said["bytes"], said["sha256"]) == (name, len(data), hashlib.sha256(data).hexdigest())
    result = engine.run(spec, stack.settings)
    assert engine.load(folder / "model.safetensors", settings=stack.settings).compare(result).share == 1.0


def test_a_cancelled_run_leaves_none(stack: Stack) -> None:
    [run] = stack.launch(karate(epochs=ENDLESS))
    stack.until_epoch(run, 2)
    cancel(stack.settings, [run])
    stack.until(run, "cancelled")
    assert not (stack.home / "artifacts" / run / "1" / "model.safetensors").exists()


def test_a_running_run_is_cancelled_with_its_history(stack: Stack) -> None:
    [run] = stack.launch(karate(epochs=ENDLESS))
    stack.until_epoch(run, 3)
    cancel(stack.settings, [run])
    row = stack.until(run, "cancelled")
    assert stack.epochs(run) == list(range(1, row["epoch"] + 1))


def test_a_queued_run_is_cancelled_and_never_begins(stack: Stack) -> None:
    [busy] = stack.launch(karate(epochs=ENDLESS))
    stack.until_epoch(busy, 1)
    [run] = stack.launch(karate())
    wait_for(lambda: stack.redis.exists(keys.sent(run)), "its message is sent")
    cancel(stack.settings, [run])
    stack.until(run, "cancelled", seconds=5)
    cancel(stack.settings, [busy])
    wait_for(lambda: f"{run}:1] succeeded" in stack.log("worker@a").read_text(), "the worker has seen its message")
    row = stack.row(run)
    assert (row["state"], row["epoch"], row["started_at"]) == ("cancelled", 0, None)


def test_a_loss_that_is_no_number_fails_with_the_reason_and_the_history(stack: Stack) -> None:
    [run] = stack.launch(karate(epochs=50, lr=1e30))
    row = stack.until(run, "failed", "finished")
    assert row["state"] == "failed"
    assert "epoch" in row["reason"]
    assert "internal error" not in row["reason"]
    assert stack.epochs(run) == list(range(1, row["epoch"] + 1))


def test_a_message_that_comes_twice_runs_once(stack: Stack) -> None:
    [run] = stack.launch(karate(epochs=5))
    stack.until(run, "finished")
    log = stack.log("worker@a")
    before = log.read_text().count(f"{run}:1] succeeded")
    celery = make_celery(stack.settings)
    message = {"run": run, "attempt": 1, "spec": karate(epochs=5).to_json()}
    celery.send_task(TRAIN, kwargs=message, task_id=task_id(run, 1), queue=keys.queue("cpu"))
    wait_for(lambda: log.read_text().count(f"{run}:1] succeeded") > before, "the second message is taken")
    assert log.read_text().count(f"started run={run}") == 1
    row = stack.row(run)
    assert (row["state"], row["attempt"], row["attempts"]) == ("finished", 1, 1)


def test_priority_goes_before_age(stack: Stack) -> None:
    [busy] = stack.launch(karate(epochs=ENDLESS))
    stack.until_epoch(busy, 1)
    late = stack.launch(*(karate(epochs=1, seed=seed) for seed in range(4)), priority=7)
    [soon] = stack.launch(karate(epochs=1), priority=0)
    wait_for(lambda: stack.redis.exists(keys.sent(soon)), "the urgent run found room")
    cancel(stack.settings, [busy])
    ended = {run: stack.until(run, "finished")["started_at"] for run in [*late, soon]}
    assert sorted(ended, key=lambda run: ended[run]) == [soon, *late]


def test_a_spec_that_the_worker_cannot_read_fails_with_the_reason(stack: Stack) -> None:
    [run] = stack.launch(karate(device="cuda"))  # which no worker here takes from the dispatcher
    celery = make_celery(stack.settings)
    message = {"run": run, "attempt": 1, "spec": '{"dataset":"nowhere"}'}
    celery.send_task(TRAIN, kwargs=message, task_id=task_id(run, 1), queue=keys.queue("cpu"))
    row = stack.until(run, "failed")
    assert row["reason"].startswith("unknown dataset 'nowhere'")


def test_a_worker_reads_no_file_and_runs_no_code_that_a_message_names(stack: Stack, tmp_path: Path) -> None:
    """Whoever reaches Redis may forge a message; it is checked again where it would be carried out."""
    recipe = tmp_path / "mine.py"
    recipe.write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nENTRIES = ()\n")
    forged = {
        f"{recipe}:mine": json.loads(karate().to_json()) | {"scheme": f"{recipe}:mine"},
        "path": json.loads(karate().to_json()) | {"dataset": {"name": "file", "path": str(tmp_path)}},
    }
    reasons = {}
    for name, spec in forged.items():
        [run] = stack.launch(karate(device="cuda"))  # which no worker here takes from the dispatcher
        message = {"run": run, "attempt": 1, "spec": json.dumps(spec)}
        celery = make_celery(stack.settings)
        celery.send_task(TRAIN, kwargs=message, task_id=task_id(run, 1), queue=keys.queue("cpu"))
        reasons[name] = stack.until(run, "failed")["reason"]
    assert reasons[f"{recipe}:mine"].startswith(f"the recipe file {recipe} is not read here")
    assert reasons["path"].startswith(f"the path '{tmp_path}' is not read here: a service takes uploads only")
    assert not (tmp_path / "ran").exists()


class Trap:
    """What runs a command where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return open, (str(self.path), "w")


def test_a_pickled_message_is_refused_and_the_worker_goes_on(stack: Stack, tmp_path: Path) -> None:
    trap = tmp_path / "ran"
    pickle.loads(pickle.dumps(Trap(trap))).close()
    assert trap.exists(), "the trap works"
    trap.unlink()
    celery = make_celery(stack.settings)
    celery.send_task(
        TRAIN,
        kwargs={"run": "x", "attempt": 1, "spec": Trap(trap)},
        task_id=task_id("x", 1),
        queue=keys.queue("cpu"),
        serializer="pickle",
    )
    wait_for(lambda: "ContentDisallowed" in stack.log("worker@a").read_text(), "the worker refuses it")
    [run] = stack.launch(karate(epochs=2))
    assert stack.until(run, "finished", "failed")["state"] == "finished"
    assert not trap.exists()


def test_many_runs_finish_with_two_workers(stack: Stack) -> None:
    stack.start("worker@b")
    try:
        runs = stack.launch(*(karate(epochs=5, seed=seed) for seed in range(12)))
        rows = [stack.until(run, "finished", "failed") for run in runs]
        assert {row["state"] for row in rows} == {"finished"}
        assert {row["attempts"] for row in rows} == {1}
    finally:
        stack.end("worker@b")
