"""Health checks see who was heard lately, and nobody else."""

from __future__ import annotations

import socket
import time

from tasks import keys
from tasks.alive import is_alive
from tests.tasks.stack import Stack


def test_a_worker_is_alive_while_it_is_heard(queue: Stack) -> None:
    queue.redis.zadd(keys.workers("cpu"), {"a@b": time.time(), "old@b": time.time() - 60})
    assert is_alive(queue.settings, "worker", "a@b")
    assert not is_alive(queue.settings, "worker", "old@b")


def test_a_worker_without_a_name_is_found_by_its_host(queue: Stack) -> None:
    assert not is_alive(queue.settings, "worker")
    queue.redis.zadd(keys.workers("cuda"), {f"cuda@{socket.gethostname()}": time.time()})
    assert is_alive(queue.settings, "worker")


def test_the_dispatcher_is_alive_while_one_holds_the_lock(queue: Stack) -> None:
    assert not is_alive(queue.settings, "dispatcher")
    queue.redis.set(keys.DISPATCHER, "x")
    assert is_alive(queue.settings, "dispatcher")
