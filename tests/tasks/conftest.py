"""Real services for the tests of the tasks: a queue alone, or the whole stack, started once each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engine.settings import Settings
from tasks import keys
from tasks.messages import CLASSES
from tests.tasks.stack import Stack


@pytest.fixture(scope="package")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        yield stack
    finally:
        stack.end_all()


@pytest.fixture
def stack(whole: Stack) -> Stack:
    """Queue, store, dispatcher and one idle worker; a test may kill what it likes."""
    for name in ("queue", "store", "dispatcher", "worker@a"):
        whole.start(name)
    whole.clear()
    return whole


@pytest.fixture
def served(whole: Stack) -> Stack:
    """Queue, store and dispatcher, but no worker."""
    for name in [name for name in whole.processes if name.startswith("worker")]:
        whole.end(name)
    for name in ("queue", "store", "dispatcher"):
        whole.start(name)
    whole.redis.delete(*(keys.workers(device_class) for device_class in CLASSES))
    whole.clear()
    return whole


@pytest.fixture(scope="package")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("queue"))
    try:
        yield stack
    finally:
        stack.end_all()


@pytest.fixture
def queue(lone: Stack) -> Stack:
    """An empty queue, and nothing that listens to it."""
    lone.start("queue")
    lone.redis.flushall()
    return lone


@pytest.fixture
def queue_settings(queue: Stack) -> Settings:
    return queue.settings
