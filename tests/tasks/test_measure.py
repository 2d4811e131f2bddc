"""Measuring on workers: asked for, sent where there is room, held by one, and let be where it cannot be done.

Whole ones, by real workers: tests/system/test_sweep.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pyarrow as pa
import pytest

from engine.errors import RunError
from engine.events import Measurement as Row
from engine.events import RunMeasured
from engine.settings import Settings
from engine.spec import RunSpec
from tasks import keys
from tasks.measure import Measurement
from tasks.measurements import Measurements
from tasks.messages import Messages, Room
from tasks.queue import make_celery
from tasks.submit import Asked, QueueUnavailable, cancel, measure, measuring
from tests.tasks.stack import ENDLESS, Stack, karate, wait_for

FOUND = RunMeasured(
    rows=[Row(quantity="peak_torch", variant="run", value=1.0)],
    host="here", cpu="some", device="cpu", threads=1, allocator="some", epochs=1,
)  # fmt: skip


def asked(queue: Stack, run: str = "r1") -> Measurement:
    """A worker's try at a run that was asked for."""
    measure(queue.settings, run)
    return Measurement(queue.redis, run, "worker@a")


def begun(queue: Stack, run: str = "r1") -> float | None:
    return queue.redis.zscore(keys.MEASURE, run)  # pyright: ignore[reportReturnType]


def test_only_finished_runs_are_measured(served: Stack) -> None:
    [run] = served.launch(karate(epochs=ENDLESS))
    measure(served.settings, run)
    served.until(run, "queued")
    assert measuring(served.settings, [run]) == {run: Asked("waiting")}
    cancel(served.settings, [run])
    reason = "the run has cancelled: only finished runs are measured"
    wait_for(lambda: measuring(served.settings, [run]) == {run: Asked("failed", reason)}, "it is let be")
    measure(served.settings, run)
    assert measuring(served.settings, [run])[run].state in ("waiting", "failed")


def test_what_is_found_is_said_and_no_longer_asked_for(queue: Stack) -> None:
    seen: list[Asked] = []

    def found(spec: RunSpec, pulse: Callable[[], None]) -> RunMeasured:
        pulse()
        seen.append(measuring(queue.settings, ["r1"])["r1"])
        return FOUND

    assert asked(queue).carry_out(karate, found) == "measured"
    assert seen == [Asked("measuring")]
    assert [(event.run, event.attempt, event.body) for event in queue.said()] == [("r1", 0, FOUND)]
    assert measuring(queue.settings, ["r1"]) == {}
    assert queue.redis.exists(keys.lease("r1")) == 0


def test_a_run_that_is_held_is_left_alone(queue: Stack) -> None:
    one = asked(queue)
    queue.redis.set(keys.lease("r1"), "1:worker@b:x")
    assert one.carry_out(karate, lambda spec, pulse: FOUND) == "refused"
    assert queue.redis.get(keys.lease("r1")) == "1:worker@b:x"
    assert begun(queue) == 0


def test_a_message_that_comes_again_measures_nothing(queue: Stack) -> None:
    one = asked(queue)
    assert one.carry_out(karate, lambda spec, pulse: FOUND) == "measured"
    assert one.carry_out(karate, lambda spec, pulse: FOUND) == "not asked for"
    assert len(queue.said()) == 1


def test_a_failure_is_kept_with_its_reason(queue: Stack) -> None:
    def fails(spec: RunSpec, pulse: Callable[[], None]) -> RunMeasured:
        raise RunError("measuring int8 failed: no memory")

    assert asked(queue).carry_out(karate, fails) == "failed"
    assert measuring(queue.settings, ["r1"]) == {"r1": Asked("failed", "measuring int8 failed: no memory")}
    asked(queue)
    assert measuring(queue.settings, ["r1"]) == {"r1": Asked("waiting")}


def test_a_worker_that_is_stopped_hands_it_back(queue: Stack) -> None:
    one = asked(queue)
    queue.redis.set(keys.stop("worker@a"), 1)

    def looks(spec: RunSpec, pulse: Callable[[], None]) -> RunMeasured:
        assert begun(queue) == 1
        pulse()
        return FOUND

    assert one.carry_out(karate, looks) == "given back"
    assert begun(queue) == 0
    assert queue.said() == []


def test_a_process_that_is_told_to_exit_hands_it_back(queue: Stack) -> None:
    def exits(spec: RunSpec, pulse: Callable[[], None]) -> RunMeasured:
        raise SystemExit

    with pytest.raises(SystemExit):
        asked(queue).carry_out(karate, exits)
    assert begun(queue) == 0
    assert queue.redis.exists(keys.lease("r1")) == 0


class Store:
    """What the dispatcher's query gives, for the one run that it asks for."""

    def __init__(self, *rows: dict[str, str]) -> None:
        self.rows = rows

    def __call__(self, name: str, *, runs: list[str]) -> pa.Table:
        assert name == "states"
        return pa.Table.from_pylist(
            list(self.rows), pa.schema([(key, pa.string()) for key in ("run", "state", "device")])
        )


def room(workers: int = 1) -> Room:
    return Room({"cpu": workers, "cuda": 0}, {"cpu": [0] * 10, "cuda": [0] * 10})


def measurements(queue: Stack, *rows: dict[str, str]) -> Measurements:
    return Measurements(queue.redis, Messages(queue.redis, make_celery(queue.settings)), Store(*rows))


FINISHED = {"run": "r1", "state": "finished", "device": "auto"}


def test_a_message_is_sent_once_and_where_there_is_room(queue: Stack) -> None:
    asked(queue)
    served = measurements(queue, FINISHED)
    assert [served.serve(room(0)), served.serve(room()), served.serve(room())] == [0, 1, 0]
    [message] = queue.redis.lrange(f"{keys.queue('cpu')}:9", 0, -1)
    assert json.loads(message)["headers"]["id"] == "r1:0"
    assert json.loads(message)["headers"]["task"] == "bitfront.measure"


def test_a_run_that_took_its_workers_down_is_let_be(queue: Stack) -> None:
    asked(queue)
    queue.redis.zadd(keys.MEASURE, {"r1": 3})
    assert measurements(queue, FINISHED).serve(room()) == 0
    reason = "its worker died in each of 3 attempts to measure it"
    assert measuring(queue.settings, ["r1"]) == {"r1": Asked("failed", reason)}


def test_a_run_that_the_store_never_hears_of_is_let_be(queue: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(queue)
    served = measurements(queue)
    served.serve(room())
    assert measuring(queue.settings, ["r1"]) == {"r1": Asked("waiting")}
    monkeypatch.setattr("tasks.measurements.UNKNOWN_SECONDS", -1)
    served.serve(room())
    reason = "there is no such run: it was deleted, or never launched"
    assert measuring(queue.settings, ["r1"]) == {"r1": Asked("failed", reason)}


def test_without_a_queue_nothing_is_asked_for() -> None:
    with pytest.raises(QueueUnavailable, match=r"nothing was asked for$"):
        measure(Settings(redis_url="redis://127.0.0.1:1"), "r1")
