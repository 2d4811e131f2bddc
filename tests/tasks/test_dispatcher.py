"""The dispatcher's rules, against a real store and queue, with no worker."""

from __future__ import annotations

import json
import time

from engine.events import Body, Envelope, EpochFinished, RunStarted
from tasks import keys
from tasks.messages import CLASSES, Room
from tasks.submit import cancel
from tests.tasks.stack import Stack, karate, wait_for


def _live(stack: Stack, *device_classes: keys.DeviceClass) -> None:
    """Have the dispatcher see a worker of these classes, which takes no message."""
    for device_class in device_classes:
        stack.redis.zadd(keys.workers(device_class), {"worker@nobody": time.time() + 3600})


def _waiting(stack: Stack, device_class: keys.DeviceClass = "cpu", priority: int = 5) -> list[str]:
    messages = stack.redis.lrange(f"{keys.queue(device_class)}:{priority}", 0, -1)
    return [json.loads(message)["headers"]["id"] for message in messages]


def _clear(stack: Stack, runs: list[str]) -> None:
    cancel(stack.settings, runs)
    for run in runs:
        stack.until(run, "cancelled", "failed")
    for device_class in CLASSES:
        stack.redis.delete(keys.queue(device_class), *(f"{keys.queue(device_class)}:{p}" for p in range(10)))


def _say(stack: Stack, run: str, seq: int, body: Body, attempt: int = 1) -> None:
    envelope = Envelope(run=run, attempt=attempt, seq=seq, at=time.time(), body=body)
    stack.redis.xadd(keys.EVENTS, {"e": envelope.to_json()})


def _started(worker: str = "worker@gone") -> RunStarted:
    return RunStarted(worker=worker, host="gone", pid=1, device="cpu", total_epochs=20)


def test_two_messages_wait_for_each_worker(served: Stack) -> None:
    runs = served.launch(*(karate(seed=seed) for seed in range(6)))
    _live(served, "cpu")
    wait_for(lambda: len(_waiting(served)) == 2, "two messages wait")
    served.until(runs[-1], "queued")
    assert sorted(_waiting(served)) == sorted(f"{run}:1" for run in runs[:2])
    _clear(served, runs)


def test_a_run_for_a_gpu_waits_for_a_worker_that_has_one(served: Stack) -> None:
    [gpu, either] = served.launch(karate(device="cuda"), karate(device="cpu"))
    _live(served, "cpu")
    wait_for(lambda: _waiting(served) == [f"{either}:1"], "the other run is sent")
    assert _waiting(served, "cuda") == []
    _live(served, "cuda")
    wait_for(lambda: _waiting(served, "cuda") == [f"{gpu}:1"], "the GPU's run is sent to its queue")
    _clear(served, [gpu, either])


def test_a_lost_message_is_sent_again(served: Stack) -> None:
    [run] = served.launch(karate())
    _live(served, "cpu")
    wait_for(lambda: _waiting(served), "a message waits")
    served.redis.delete(f"{keys.queue('cpu')}:5")
    served.redis.expire(keys.sent(run), 1)
    wait_for(lambda: _waiting(served) == [f"{run}:1"], "the message is sent again")
    _clear(served, [run])


def test_an_attempt_that_died_before_its_first_word_counts(served: Stack) -> None:
    [run] = served.launch(karate())
    served.until(run, "queued")
    served.redis.set(keys.claimed(run), 1)
    _live(served, "cpu")
    wait_for(lambda: _waiting(served) == [f"{run}:2"], "the second attempt is sent")
    _clear(served, [run])


def test_a_run_that_took_three_workers_with_it_has_failed(served: Stack) -> None:
    [run] = served.launch(karate())
    served.until(run, "queued")
    served.redis.set(keys.claimed(run), 3)
    _live(served, "cpu")
    assert served.until(run, "failed")["reason"] == ("killed three times: look into the workers' logs for the cause")
    _clear(served, [])


def test_attempts_that_were_handed_back_do_not_count(served: Stack) -> None:
    [run] = served.launch(karate())
    served.until(run, "queued")
    served.redis.hset(keys.given_back(run), mapping={"count": 2, "attempt": 3})
    served.redis.set(keys.claimed(run), 3)
    _live(served, "cpu")
    wait_for(lambda: _waiting(served) == [f"{run}:4"], "the fourth attempt is sent")
    _clear(served, [run])


def test_a_cancelled_run_whose_worker_is_gone_is_ended_with_the_history_so_far(served: Stack) -> None:
    [run] = served.launch(karate())
    served.until(run, "queued")
    served.redis.set(keys.lease(run), "1:worker@gone:x", ex=600)
    _say(served, run, 1, _started())
    _say(served, run, 2, EpochFinished(epoch=1, train_loss=1.0))
    served.until_epoch(run, 1)
    cancel(served.settings, [run])
    served.until(run, "cancelling")
    served.redis.delete(keys.lease(run))
    assert served.until(run, "cancelled")["epoch"] == 1
    assert served.epochs(run) == [1]


def test_a_run_that_just_ended_is_not_started_again(served: Stack) -> None:
    """Its lease is gone before the store has heard of its end: the store is asked again first."""
    [run] = served.launch(karate())
    served.until(run, "queued")
    served.redis.set(keys.lease(run), "1:worker@gone:x", ex=600)
    _say(served, run, 1, _started())
    served.until(run, "running")
    cancel(served.settings, [run])
    served.until(run, "cancelling")
    _live(served, "cpu")
    served.redis.delete(keys.lease(run))
    served.until(run, "cancelled")
    assert _waiting(served) == []
    _clear(served, [])


def test_only_messages_as_urgent_take_room() -> None:
    room = Room({"cpu": 1, "cuda": 0}, {"cpu": [0] * 10, "cuda": [0] * 10})
    room.take("cpu", 5)
    room.take("cpu", 5)
    assert (room.left("cpu", 5), room.left("cpu", 9), room.left("cpu", 4)) == (0, 0, 2)
    assert not room.is_left(5)


def test_a_run_for_any_device_prefers_a_gpu_with_room() -> None:
    room = Room({"cpu": 1, "cuda": 1}, {"cpu": [0] * 10, "cuda": [0] * 10})
    assert room.place("auto", 5) == "cuda"
    room.take("cuda", 5)
    room.take("cuda", 5)
    assert (room.place("auto", 5), room.place("cuda", 5), room.place("cpu", 5)) == ("cpu", None, "cpu")


def test_a_run_for_the_processor_goes_to_a_gpus_worker_where_there_is_no_other() -> None:
    room = Room({"cpu": 0, "cuda": 1}, {"cpu": [0] * 10, "cuda": [0] * 10})
    assert room.place("cpu", 5) == "cuda"
