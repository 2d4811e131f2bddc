"""A worker on another machine: its files are the store's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.errors import InputError
from engine.settings import Settings
from engine.spec import RunSpec
from engine.training import Training
from store.client import StoreUnavailable
from tasks import keys
from tasks.artifacts import Remote, Sender, send_left
from tasks.attempt import Attempt, Outcome
from tasks.checkpoints import Checkpoints
from tasks.train import begin
from tests.tasks.stack import TOKEN, Stack, karate, wait_for


@pytest.fixture
def elsewhere(queue: Stack, tmp_path: Path) -> Iterator[Settings]:
    """The settings of a worker on another machine than the store, which runs."""
    queue.start("store")
    yield queue.settings.model_copy(update={"home": tmp_path, "store_token": TOKEN})
    queue.end("store")  # else it would take what later tests look for in the stream


def test_a_remote_workers_model_lies_with_the_store(queue: Stack, elsewhere: Settings) -> None:
    spec = karate(epochs=20, scheme="dq-int8")
    [run] = queue.launch(spec)
    queue.until(run, "queued")
    own = Checkpoints(elsewhere.artifacts, run, 1, seconds=20)
    remote = partial(Remote, elsewhere, run, 1)
    attempt = Attempt(queue.redis, queue.redis, run, 1, "remote", begin, own, remote)
    assert attempt.carry_out(spec.to_json()) is Outcome.FINISHED
    queue.until(run, "finished")
    result = engine.run(spec, queue.settings)
    model = queue.settings.artifacts / run / "1" / "model.safetensors"
    assert engine.load(model, settings=queue.settings).compare(result).share == 1.0
    assert list(elsewhere.artifacts.rglob("*.*")) == []


def _finished_without_the_store(queue: Stack, elsewhere: Settings, spec: RunSpec) -> str:
    """A run whose store went away while it trained, and came back when it had ended."""
    [run] = queue.launch(spec)
    queue.until(run, "queued")

    def begin_and_kill(*given: Any) -> Training:
        queue.kill("store")
        return begin(*given)

    own = Checkpoints(elsewhere.artifacts, run, 1, seconds=20)
    remote = partial(Remote, elsewhere, run, 1)
    attempt = Attempt(queue.redis, queue.redis, run, 1, "remote", begin_and_kill, own, remote)
    assert attempt.carry_out(spec.to_json()) is Outcome.FINISHED
    with pytest.raises(StoreUnavailable):
        send_left(elsewhere)
    queue.start("store")
    queue.until(run, "finished")
    return run


def test_a_model_that_the_store_could_not_take_is_sent_by_a_worker_that_lives(
    queue: Stack, elsewhere: Settings
) -> None:
    spec = karate(epochs=20, scheme="dq-int8")
    run = _finished_without_the_store(queue, elsewhere, spec)
    with pytest.raises(InputError, match="has left no model"):
        queue.store.read_artifact(run, 1, "model.safetensors")
    sender = Sender(elsewhere)
    sender.start()
    wait_for(lambda: not list(elsewhere.spool.iterdir()), "the model is sent")
    sender.end()
    sender.join()
    model = queue.settings.artifacts / run / "1" / "model.safetensors"
    assert engine.load(model, settings=queue.settings).compare(engine.run(spec, queue.settings)).share == 1.0
    assert list(elsewhere.artifacts.rglob("*.*")) == []


def test_another_model_than_the_announced_one_is_refused_and_stays(queue: Stack, elsewhere: Settings) -> None:
    run = _finished_without_the_store(queue, elsewhere, karate(epochs=3))
    own = elsewhere.artifacts / run / "1" / "model.json"
    own.write_text("{}")
    remote = Remote(elsewhere, run, 1, "")
    with pytest.raises(InputError) as refusal:
        remote.put(own)
    assert str(refusal.value) == f"this model.json is not the one that the run {run!r} has announced"
    assert send_left(elsewhere) == 0
    [note] = elsewhere.spool.iterdir()  # its attempt may still have the lease: not for good yet
    os.utime(note, (0, 0))
    assert send_left(elsewhere) == 0
    assert own.read_text() == "{}"
    assert list(elsewhere.spool.iterdir()) == []
    assert [file["name"] for file in remote.files()] == ["model.safetensors"]
    queue.redis.delete(keys.claimed(run))
    with pytest.raises(InputError) as refusal:
        Remote(elsewhere, run, 2, "").put(own)
    assert str(refusal.value) == f"the run {run!r} is finished: nothing more is written of it"


def test_a_checkpoint_goes_to_the_store_and_comes_from_it(queue: Stack, elsewhere: Settings) -> None:
    spec = karate(epochs=20)
    [run] = queue.launch(spec)
    queue.until(run, "queued")
    first = Remote(elsewhere, run, 1, "1:w:secret")
    training = begin(spec, None, lambda epoch, step: None)
    next(iter(training))
    path = elsewhere.artifacts / "checkpoint.pt"
    path.parent.mkdir()
    training.checkpoint().save(path)
    queue.redis.set(keys.lease(run), "1:w:secret")
    assert first.put(path) is True
    assert first.files() == [{"attempt": 1, "name": "checkpoint.pt", "bytes": path.stat().st_size}]
    second = Remote(elsewhere, run, 2, "2:v:secret")
    second.fetch(1, "checkpoint.pt", elsewhere.artifacts / "fetched" / "checkpoint.pt")
    assert (elsewhere.artifacts / "fetched" / "checkpoint.pt").read_bytes() == path.read_bytes()
    queue.redis.set(keys.lease(run), "2:v:secret")
    second.clear_checkpoints()
    assert second.files() == []


def test_who_shares_the_folder_sends_nothing(queue: Stack, elsewhere: Settings, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"no checkpoint, which the store would refuse")
    sharing = elsewhere.model_copy(update={"home": queue.home})
    assert Remote(sharing, "r", 1, "").put(path) is False
    assert Remote(Settings(home=tmp_path), "r", 1, "").put(path) is False
