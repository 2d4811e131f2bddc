"""One attempt: it ends within a second or a step of what ends it, and says why."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from engine.events import Body, EpochFinished, RunCancelled, RunFailed, RunStarted
from engine.settings import Settings
from tasks import keys
from tasks.artifacts import Remote
from tasks.attempt import Attempt
from tasks.checkpoints import Checkpoints
from tasks.connection import hasty
from tasks.lease import Lease
from tasks.limits import ADVICE, Breach, Limits
from tasks.outcome import Outcome
from tasks.spool import deliver_left
from tests.tasks.stack import Stack, karate, wait_for

STARTED = RunStarted(worker="", host="h", pid=1, device="cpu", total_epochs=3)
Step = Callable[[int], Any]


class Kept:
    """Stands for a checkpoint."""

    def save(self, path: Path) -> None:
        path.write_text("kept")


class Scripted:
    """Stands for the engine's training: three epochs of one step each, which do what a test says."""

    def __init__(self, stepped: Callable[[int, int], None], step: Step) -> None:
        self.stepped, self.step = stepped, step

    def __iter__(self) -> Iterator[Body]:
        yield STARTED
        for epoch in range(1, 4):
            self.step(epoch)
            self.stepped(1, 1)
            yield EpochFinished(epoch=epoch, train_loss=1.0)

    def checkpoint(self) -> Kept:
        return Kept()


def _attempt(
    settings: Settings, redis: Redis, step: Step, *, limits: Limits | None = None, number: int = 1, seconds: float = 600
) -> Attempt:
    def begin(spec: Any, kept: Any, stepped: Callable[[int, int], None]) -> Any:
        return Scripted(stepped, step)

    return Attempt(
        redis,
        hasty(settings),
        "r",
        number,
        "w@h",
        begin,
        Checkpoints(settings.artifacts, "r", number, seconds=seconds),
        lambda lease: Remote(Settings(home=settings.home), "r", number, lease),
        limits=limits,
    )


def _files(settings: Settings) -> list[str]:
    folder = settings.artifacts / "r"
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def own_folder(queue: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "settings", queue.settings.model_copy(update={"home": tmp_path}))


def test_a_cancel_is_seen_after_the_step_and_the_state_is_kept(queue: Stack) -> None:
    def step(epoch: int) -> None:
        if epoch == 2:
            queue.redis.set(keys.cancel("r"), 1)
            wait_for(lambda: attempt.watch.verdict, "the watch has seen it", 5)

    attempt = _attempt(queue.settings, queue.redis, step)
    assert attempt.carry_out(karate().to_json()) is Outcome.CANCELLED
    last = queue.said()[-1].body
    assert isinstance(last, RunCancelled)
    assert last.history.columns["epoch"] == [1]
    assert _files(queue.settings) == ["1/checkpoint.pt"]
    assert queue.redis.exists(keys.lease("r")) == 0


def test_a_step_that_takes_longer_is_interrupted_after_a_second(queue: Stack) -> None:
    """The last periodic checkpoint stays: within a step there is none."""
    asked: list[float] = []

    def step(epoch: int) -> None:
        if epoch == 2:
            queue.redis.set(keys.cancel("r"), 1)
            asked.append(time.monotonic())
            time.sleep(60)

    assert _attempt(queue.settings, queue.redis, step, seconds=0).carry_out(karate().to_json()) is Outcome.CANCELLED
    assert 1 <= time.monotonic() - asked[0] < 5
    assert _files(queue.settings) == ["1/checkpoint.pt"]


def test_a_run_over_its_time_fails_with_the_reason(queue: Stack) -> None:
    step: Step = lambda epoch: time.sleep(60)  # noqa: E731
    attempt = _attempt(queue.settings, queue.redis, step, limits=Limits(seconds=0.5))
    assert attempt.carry_out(karate().to_json()) is Outcome.FAILED
    last = queue.said()[-1].body
    assert isinstance(last, RunFailed)
    assert last.reason == (
        "it trained for longer than the 0.5 s that a run may take here (BITFRONT_RUN_SECONDS): "
        "train fewer epochs, or raise what is allowed"
    )


def test_a_run_that_asks_for_more_memory_than_it_may_take_fails_as_that(queue: Stack) -> None:
    """The system refuses the allocation, whoever asks for it; afterwards the process may allocate again."""
    import torch

    limits = Limits(memory=3e9)

    def step(epoch: int) -> None:
        torch.empty(10**9).fill_(1.0)

    assert _attempt(queue.settings, queue.redis, step, limits=limits).carry_out(karate().to_json()) is Outcome.FAILED
    last = queue.said()[-1].body
    assert isinstance(last, RunFailed)
    assert last.reason == (
        f"out of memory: it needed more than the 3.00 GB that a run may take here (BITFRONT_RUN_MEMORY_GB); {ADVICE}"
    )
    assert torch.empty(10**9).numel() == 10**9


def test_a_run_whose_memory_grows_over_the_limit_fails_as_that() -> None:
    assert Limits(memory=2e9).broken(1, 1.9e9) is None
    assert Limits(memory=2e9).broken(1, 2.1e9) == Breach(
        "memory",
        f"out of memory: it took 2.10 of the 2.00 GB that a run may take here (BITFRONT_RUN_MEMORY_GB); {ADVICE}",
    )


@pytest.mark.parametrize(("limits", "left"), [(Limits(memory=1.0), []), (Limits(seconds=0.01), ["1/checkpoint.pt"])])
def test_a_run_over_its_memory_keeps_no_copy_of_its_state_and_one_over_its_time_does(
    queue: Stack, limits: Limits, left: list[str]
) -> None:
    """Where memory runs out, the copy would be one too much."""

    def step(epoch: int) -> None:
        wait_for(lambda: attempt.watch.verdict, "the watch has seen it", 5)

    attempt = _attempt(queue.settings, queue.redis, step, limits=limits)
    attempt.limits = Limits()  # the system refuses nothing: this is the watch's own judgement
    assert attempt.carry_out(karate().to_json()) is Outcome.FAILED
    assert _files(queue.settings) == left


def test_other_errors_are_not_taken_for_memory() -> None:
    assert Limits().explain(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None
    assert str(Limits().explain(MemoryError())).startswith("out of memory: the machine has ")


def test_sigterm_hands_the_run_back_with_its_state_then_ends_the_process(queue: Stack) -> None:
    def step(epoch: int) -> None:
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit):
        _attempt(queue.settings, queue.redis, step).carry_out(karate().to_json())
    assert queue.redis.hgetall(keys.given_back("r")) == {"count": "1", "attempt": "1"}
    assert queue.redis.exists(keys.lease("r")) == 0
    assert _files(queue.settings) == ["1/checkpoint.pt"]


def test_a_worker_that_wakes_after_another_took_the_run_writes_and_says_nothing(
    queue: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Suspended for longer than its lease lives: a newer attempt has left a checkpoint, and ended."""

    def step(epoch: int) -> None:
        if epoch == 2:
            queue.redis.delete(keys.lease("r"))
            newer = Lease(queue.redis, "r", 2, "other@h")
            newer.claim()
            newer.release()
            folder = queue.settings.artifacts / "r" / "2"
            folder.mkdir(parents=True)
            (folder / "checkpoint.pt").write_text("newer")
            attempt.watch._renewed -= keys.LEASE_SECONDS  # as its clock says after it was suspended

    attempt = _attempt(queue.settings, queue.redis, step)
    monkeypatch.setattr(attempt.watch, "_look", lambda: None)  # the training is quicker than the watch
    assert attempt.carry_out(karate().to_json()) is Outcome.LOST
    assert {event.attempt for event in queue.said()} == {1}
    assert not any(isinstance(event.body, RunFailed | RunCancelled) for event in queue.said())
    assert (queue.settings.artifacts / "r" / "2" / "checkpoint.pt").read_text() == "newer"


def test_training_goes_on_while_the_queue_is_away(queue: Stack) -> None:
    """No step waits for it, and nothing is missing when it is back."""
    took: list[float] = []

    def step(epoch: int) -> None:
        took.append(time.monotonic())
        if epoch == 1:
            queue.kill("queue")
        elif epoch == 3:
            queue.start("queue")

    # The scripted training says no result, which is the last thing said.
    assert _attempt(queue.settings, queue.redis, step).carry_out(karate().to_json()) is Outcome.FAILED
    assert took[2] - took[0] < 2
    assert [event.seq for event in queue.said()] == [1, 2, 3, 4, 5]


def test_an_end_that_waits_for_the_queue_is_left_in_the_spool_at_sigterm(queue: Stack) -> None:
    def step(epoch: int) -> None:
        if epoch == 3:
            queue.kill("queue")
            threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()

    path = queue.settings.spool / "r.1.jsonl"
    attempt = _attempt(queue.settings, queue.redis, step)
    attempt.publisher._kept.path = path
    with pytest.raises(SystemExit):
        attempt.carry_out(karate().to_json())
    queue.start("queue")
    left = queue.said()
    del attempt
    gc.collect()
    assert deliver_left(path.parent, queue.redis) == 5 - len(left)
    assert [event.seq for event in queue.said()] == [1, 2, 3, 4, 5]


FORCED = """
import hashlib, sys
from tasks import watch
watch.FORCE_SECONDS = 2.0
from engine.settings import Settings
from tests.tasks.test_attempt import _attempt
from tasks.connection import patient
from tests.tasks.stack import karate
settings = Settings()
redis = patient(settings)
def step(epoch):
    redis.set("cancel:r", 1)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)
_attempt(settings, redis, step).carry_out(karate().to_json())
"""


def test_a_step_that_cannot_be_interrupted_is_ended_with_its_process(queue: Stack) -> None:
    environment = os.environ | {"BITFRONT_HOME": str(queue.settings.home), "REDIS_URL": str(queue.settings.redis_url)}
    ended = subprocess.run([sys.executable, "-c", FORCED], env=environment, timeout=60, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert [event.body.type for event in queue.said()] == ["run_started", "run_cancelled"]
    assert queue.redis.exists(keys.lease("r")) == 0


def test_a_checkpoint_that_a_newer_attempt_has_left_is_not_removed(tmp_path: Path) -> None:
    for attempt in (1, 2, 3):
        (tmp_path / "r" / str(attempt)).mkdir(parents=True)
        (tmp_path / "r" / str(attempt) / "checkpoint.pt").write_text("x")
    Checkpoints(tmp_path, "r", 2, seconds=1).clear()
    assert [path.parent.name for path in tmp_path.glob("r/*/checkpoint.pt")] == ["3"]


@pytest.mark.parametrize("run", ["../../etc", "/tmp/x", "", "a" * 65, "a/b", "a.b"])
def test_a_run_id_that_leaves_its_folder_is_refused(run: str) -> None:
    from engine.errors import InputError

    with pytest.raises(InputError) as caught:
        keys.check_run(run)
    assert str(caught.value) == f"the run id {run!r} is not allowed: 1 to 64 letters, digits, - and _"
