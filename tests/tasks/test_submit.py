"""Launching and cancelling: whole or not at all, and with clear words."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError
from engine.events import CancelRequested, RunQueued
from engine.search.file import read_search
from engine.settings import Settings
from engine.spec import RunSpec
from tasks import keys
from tasks.submit import QueueUnavailable, cancel, search, submit
from tests.tasks.stack import Stack, karate


def test_a_launch_is_one_entry_a_run_in_order(queue: Stack) -> None:
    specs = [karate(seed=seed) for seed in range(3)]
    runs = submit(queue.settings, specs, priority=2, sweep="mine")
    events = queue.said()
    assert [event.run for event in events] == runs
    assert len(set(runs)) == 3
    assert [event.body for event in events] == [
        RunQueued(spec=spec.model_dump(mode="json"), priority=2, sweep="mine") for spec in specs
    ]
    assert sorted(events, key=lambda event: event.at) == events
    assert {(event.attempt, event.seq) for event in events} == {(0, 0)}


def test_no_two_runs_of_a_launch_have_the_same_time_in_the_store(queue: Stack) -> None:
    specs = [karate(seed=seed) for seed in range(5)]
    for _ in range(40):  # whether two times round to one depends on the moment
        submit(queue.settings, specs)
    times = [datetime.fromtimestamp(event.at, UTC) for event in queue.said()]  # as the store keeps it
    launches = [times[start : start + len(specs)] for start in range(0, len(times), len(specs))]
    assert len(launches) == 40
    assert all(earlier < later for launch in launches for earlier, later in pairwise(launch))


def test_cancelling_sets_the_flag_and_says_so(queue: Stack) -> None:
    cancel(queue.settings, ["a", "b", "a"])
    assert [(event.run, event.body) for event in queue.said()] == [("a", CancelRequested()), ("b", CancelRequested())]
    assert 600_000 < queue.redis.ttl(keys.cancel("a")) <= keys.MEMORY_SECONDS


@pytest.mark.parametrize("priority", [-1, 10, True, 2.5])
def test_a_wrong_priority_is_refused(queue: Stack, priority: int) -> None:
    with pytest.raises(InputError) as caught:
        submit(queue.settings, [karate()], priority=priority)
    assert str(caught.value) == (
        f"priority = {priority!r} is not allowed: it is a whole number from 0 (first) to 9 (last)"
    )
    assert queue.said() == []


def test_launching_nothing_is_refused(queue: Stack) -> None:
    with pytest.raises(InputError) as caught:
        submit(queue.settings, [])
    assert str(caught.value) == "there is nothing to launch: give at least one run"


def test_without_a_queue_nothing_is_launched(tmp_path: Path) -> None:
    with pytest.raises(QueueUnavailable) as caught:
        submit(Settings(home=tmp_path), [karate()])
    assert str(caught.value) == (
        "no queue is running for this home: start it with `bitfront up`, or set REDIS_URL; nothing was launched"
    )


def test_a_queue_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, redis_url="redis://:secret@127.0.0.1:1/0")
    with pytest.raises(QueueUnavailable) as caught:
        submit(settings, [karate()])
    message = str(caught.value)
    assert message.startswith("the queue at redis://:***@127.0.0.1:1/0 does not answer (")
    assert message.endswith("): nothing was launched")
    assert "secret" not in message


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(QueueUnavailable) as caught:
        cancel(Settings(home=tmp_path, redis_url="http://somewhere"), ["a"])
    assert str(caught.value).startswith("REDIS_URL = 'http://somewhere' is no address: ")
    assert str(caught.value).endswith("; nothing was cancelled")


def test_submitting_needs_neither_celery_nor_torch() -> None:
    code = "import sys, tasks.submit; print([name for name in ('celery', 'torch', 'duckdb') if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_data_by_its_path_is_not_launched(queue: Stack) -> None:
    spec = RunSpec.parse({"dataset": "file(path=mine)", "model": "gcn"})
    before = queue.said()
    with pytest.raises(InputError) as caught:
        submit(queue.settings, [karate(), spec])
    assert str(caught.value) == (
        "the dataset file names the path mine, which other machines do not have: "
        "train it here with `bitfront run`, or upload the files on the Launch page"
    )
    assert queue.said() == before


def test_a_launch_that_would_make_too_many_wait_is_refused_whole(queue: Stack) -> None:
    few = queue.settings.model_copy(update={"most_queued": 3})
    submit(few, [karate(seed=seed) for seed in range(3)])
    with pytest.raises(InputError) as caught:
        submit(few, [karate(seed=seed) for seed in range(4)])
    assert str(caught.value) == (
        "4 more runs would make 4 wait, and at most 3 may (BITFRONT_MOST_QUEUED): "
        "cancel some, or launch when some have ended"
    )
    assert len(queue.said()) == 3


def test_a_search_of_what_only_this_machine_has_is_refused(queue: Stack) -> None:
    table: dict[str, Any] = {"epsilon": 1.0, "space": {"scheme": "./mine.py:mine(bits={b})", "choices": {"b": [4]}}}
    own = {**table, "spec": {"dataset": "karate", "model": "gcn"}}
    with pytest.raises(InputError, match=r"names the file \./mine\.py, which other machines do not have"):
        search(queue.settings, read_search(own))
    assert queue.said() == []
