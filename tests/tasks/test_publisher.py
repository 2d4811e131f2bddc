"""The publisher: numbers in order, few writes, nothing lost while the queue is away."""

from __future__ import annotations

import threading
import time

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from engine.events import EpochFinished, RunCancelled, RunStarted
from tasks.connection import patient
from tasks.publisher import FLUSH_SECONDS, Publisher
from tests.tasks.stack import Stack, wait_for

STARTED = RunStarted(worker="w", host="h", pid=1, device="cpu", total_epochs=1)


def _numbers(stack: Stack) -> list[int]:
    return [envelope.seq for envelope in stack.said()]


def test_events_are_numbered_from_one(queue: Stack) -> None:
    publisher = Publisher(queue.redis, "r", 2)
    publisher.publish(STARTED)
    publisher.publish(EpochFinished(epoch=1))
    publisher.end(RunCancelled())
    assert [(e.run, e.attempt, e.seq, e.body.type) for e in queue.said()] == [
        ("r", 2, 1, "run_started"),
        ("r", 2, 2, "epoch_finished"),
        ("r", 2, 3, "run_cancelled"),
    ]


def test_what_comes_within_200_ms_is_written_together(queue: Stack) -> None:
    publisher = Publisher(queue.redis, "r", 1)
    publisher.publish(STARTED)
    began = time.monotonic()
    publisher.publish(EpochFinished(epoch=1))
    publisher.publish(EpochFinished(epoch=2))
    if time.monotonic() - began < FLUSH_SECONDS / 2:
        assert _numbers(queue) == [1]
    wait_for(lambda: time.monotonic() - began > FLUSH_SECONDS, "200 ms pass")
    publisher.publish(EpochFinished(epoch=3))
    assert _numbers(queue) == [1, 2, 3, 4]


def test_leftovers_of_a_long_epoch_are_written_from_outside(queue: Stack) -> None:
    publisher = Publisher(queue.redis, "r", 1)
    publisher.publish(STARTED)
    publisher.publish(EpochFinished(epoch=1))
    wait_for(lambda: publisher.flush_leftovers() or _numbers(queue) == [1, 2], "the leftover is written")


def test_events_are_kept_while_the_queue_is_away(queue: Stack) -> None:
    hasty = Redis.from_url(str(queue.settings.redis_url), retry=Retry(NoBackoff(), 0))
    publisher = Publisher(hasty, "r", 1)
    publisher.publish(STARTED)
    queue.kill("queue")
    for epoch in range(1, 4):
        publisher.publish(EpochFinished(epoch=epoch))
    assert not publisher.flush()
    queue.start("queue")
    assert publisher.end(RunCancelled())
    assert _numbers(queue)[-4:] == [2, 3, 4, 5]


def test_the_end_is_written_when_the_queue_comes_back(queue: Stack) -> None:
    publisher = Publisher(patient(queue.settings), "r", 1)
    publisher.publish(STARTED)
    queue.kill("queue")
    ended = threading.Thread(target=publisher.end, args=(RunCancelled(),))
    ended.start()
    queue.start("queue")
    ended.join(30)
    assert not ended.is_alive()
    assert _numbers(queue)[-1] == 2


def test_publishing_costs_little(queue: Stack) -> None:
    publisher = Publisher(queue.redis, "r", 1)
    body = EpochFinished(epoch=1, train_loss=0.5, val_loss=0.5, train_metric=50.0, seconds=0.01)
    began = time.process_time()
    for _ in range(2000):
        publisher.publish(body)
    assert (time.process_time() - began) / 2000 < 100e-6
