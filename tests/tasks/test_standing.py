"""How the queue stands, as the System page is told."""

from __future__ import annotations

import pytest

from engine.settings import Settings
from tasks import keys
from tasks.connection import QueueUnavailable
from tasks.standing import look
from tests.tasks.stack import Stack


def test_what_waits_and_who_serves_is_counted(queue: Stack) -> None:
    redis = queue.redis
    seconds, _ = redis.time()
    redis.zadd(keys.workers("cpu"), {"alive": seconds, "gone": seconds - keys.WORKER_SECONDS - 5})
    redis.rpush(keys.waiting("cpu", 0), "a")
    redis.rpush(keys.waiting("cpu", 5), "b", "c")
    redis.zadd(keys.MEASURE, {"r0": 0})
    redis.xadd(keys.EVENTS, {"e": "x"})
    found = look(queue.settings)
    assert found.server.startswith("Valkey ")
    assert (found.workers, found.messages) == ({"cpu": 1, "cuda": 0}, {"cpu": 3, "cuda": 0})
    assert (found.events, found.to_measure, found.has_dispatcher) == (1, 1, False)
    redis.set(keys.DISPATCHER, "somebody", ex=5)
    assert look(queue.settings).has_dispatcher
    assert found.memory > 0


def test_a_queue_that_does_not_answer_says_so_without_its_password() -> None:
    settings = Settings(redis_url="redis://:secret@127.0.0.1:9/0")
    with pytest.raises(QueueUnavailable, match=r"^the queue at redis://:\*\*\*@127.0.0.1:9/0 does not answer \("):
        look(settings)


def test_no_queue_says_how_to_start_one(settings: Settings) -> None:
    with pytest.raises(QueueUnavailable) as refusal:
        look(settings)
    assert str(refusal.value) == "no queue is running for this home: start it with `bitfront up`, or set REDIS_URL"
