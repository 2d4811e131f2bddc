"""Events that wait for Redis: bounded, in a file that outlives their worker, delivered once it is gone."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from engine.events import EpochFinished, History, RunCancelled, RunStarted
from tasks.publisher import Publisher
from tasks.spool import Spool, deliver_left
from tests.tasks.stack import Stack

STARTED = RunStarted(worker="w", host="h", pid=1, device="cpu", total_epochs=1)


def _hasty(queue: Stack) -> Redis:
    return Redis.from_url(str(queue.settings.redis_url), decode_responses=True, retry=Retry(NoBackoff(), 0))


def _away(queue: Stack, path: Path, limit: float = 64e6) -> Publisher:
    """A publisher whose queue went away after its first event."""
    publisher = Publisher(_hasty(queue), "r", 1, Spool(path, limit))
    publisher.publish(STARTED)
    queue.kill("queue")
    return publisher


def test_what_redis_does_not_take_is_in_a_file_until_it_does(queue: Stack, tmp_path: Path) -> None:
    path = tmp_path / "r.1.jsonl"
    publisher = _away(queue, path)
    for epoch in range(1, 4):
        publisher.publish(EpochFinished(epoch=epoch))
    assert not publisher.flush()
    assert path.read_text().count('"type":"epoch_finished"') == 3
    queue.start("queue")
    assert publisher.end(RunCancelled())
    assert [event.seq for event in queue.said()] == [1, 2, 3, 4, 5]
    assert not path.exists()


def test_a_spool_is_bounded_and_the_end_heals_what_was_left_out(queue: Stack, tmp_path: Path) -> None:
    path = tmp_path / "r.1.jsonl"
    publisher = _away(queue, path, limit=5_000)
    epochs = [EpochFinished(epoch=epoch) for epoch in range(1, 101)]
    for epoch in epochs:
        publisher.publish(epoch)
    assert not publisher.flush()
    assert path.stat().st_size < 5_500
    queue.start("queue")
    publisher.end(RunCancelled(history=History.of(epochs)))
    said = queue.said()
    assert said[-1].seq == 102
    assert len(said) < 30
    assert isinstance(said[-1].body, RunCancelled)
    assert len(said[-1].body.history.rows()) == 100


def test_what_a_dead_worker_kept_is_delivered_once(queue: Stack, tmp_path: Path) -> None:
    path = tmp_path / "r.1.jsonl"
    publisher = _away(queue, path)
    publisher.publish(EpochFinished(epoch=1))
    publisher.flush()
    with path.open("a") as file:
        file.write('{"run":"r","cut sho')  # it died as it wrote
    queue.start("queue")
    assert deliver_left(tmp_path, queue.redis) == 0  # it lives: its file is locked
    del publisher
    assert deliver_left(tmp_path, queue.redis) == 1
    assert deliver_left(tmp_path, queue.redis) == 0
    assert [event.seq for event in queue.said()] == [1, 2]


def test_what_cannot_be_delivered_stays(queue: Stack, tmp_path: Path) -> None:
    (tmp_path / "r.1.jsonl").write_text('{"run":"r"}\n')
    queue.kill("queue")
    with pytest.raises(RedisConnectionError):
        deliver_left(tmp_path, _hasty(queue))
    assert (tmp_path / "r.1.jsonl").read_text() == '{"run":"r"}\n'


def test_where_the_file_cannot_be_written_memory_holds_the_events(queue: Stack, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("a file where the folder should be")
    publisher = _away(queue, tmp_path / "spool" / "r.1.jsonl")
    publisher.publish(EpochFinished(epoch=1))
    assert not publisher.flush()
    queue.start("queue")
    assert publisher.end(RunCancelled())
    assert [event.seq for event in queue.said()] == [1, 2, 3]


def test_the_lock_is_held_while_the_file_is(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "x.jsonl")
    spool.add("{}")
    spool.secure()
    with (tmp_path / "x.jsonl").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
