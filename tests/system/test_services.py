"""The parts of the supervisor, each by itself."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from redis import Redis

from app.services import ports, valkey
from app.services.child import Child, Service, says_ready
from app.services.home import Home, HomeTaken
from engine.settings import Settings
from tasks.connection import celery_address
from tests.tasks.stack import wait_for


def _service(code: str, **options: float) -> Service:
    return Service("thing", [sys.executable, "-c", code], says_ready, **options)  # type: ignore[arg-type]


def _tended(child: Child) -> Child:
    child.tend()
    return child


@pytest.fixture
def child(tmp_path: Path):
    children: list[Child] = []

    def make(code: str) -> Child:
        children.append(Child(_service(code), tmp_path))
        return children[-1]

    yield make
    for each in children:
        each.kill()


READY = "import time; print('{\"ready\": true}', flush=True); time.sleep(600)"


def test_a_child_is_ready_once_it_says_so(child) -> None:
    thing = child(READY)
    wait_for(lambda: _tended(thing).ready, "it is ready")
    assert thing.process is not None


def test_words_of_an_earlier_start_do_not_count(child) -> None:
    thing = child("import time; time.sleep(600)")
    thing.log.write_text('{"ready": true}\n')
    wait_for(lambda: _tended(thing).process, "it is started")
    thing.tend()
    assert not thing.ready


def test_a_child_that_keeps_dying_is_failing_and_has_last_words(child) -> None:
    thing = child("print('first'); print('it is broken'); raise SystemExit(3)")
    wait_for(lambda: _tended(thing).failing, "it has died four times")
    assert thing.last_words() == "it is broken"
    assert not thing.was_ready


def test_a_child_that_ignores_the_request_is_ended_with_its_own_children(child) -> None:
    thing = child(
        "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid, flush=True);" + READY
    )
    wait_for(lambda: _tended(thing).ready, "it is ready")
    grandchild = psutil.Process(int(thing.log.read_text().splitlines()[1]))
    thing.ask_to_end()
    thing.wait(0.0)
    assert thing.process is None
    wait_for(lambda: not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE, "its child is gone")


def test_a_long_log_is_put_aside(child, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.child.LONGEST_LOG", 10)
    thing = child(READY)
    thing.log.write_text("much too long\n")
    thing.tend()
    assert thing.log.with_suffix(".log.1").read_text() == "much too long\n"


def test_a_home_is_held_by_one(tmp_path: Path) -> None:
    first, second = Home(Settings(home=tmp_path)), Home(Settings(home=tmp_path))
    first.prepare()
    first.lock()
    assert second.holder() == os.getpid()
    with pytest.raises(HomeTaken) as caught:
        second.lock()
    assert str(caught.value) == f"Bitfront is already starting on {tmp_path}: process {os.getpid()}"
    first.write_endpoints(dashboard="http://there")
    with pytest.raises(HomeTaken, match=r"^Bitfront is already running at http://there \(`bitfront down` ends it\)$"):
        second.lock()
    first.unlock()
    assert second.holder() is None


def test_a_stale_lock_does_not_block(tmp_path: Path) -> None:
    home = Home(Settings(home=tmp_path))
    home.prepare()
    (tmp_path / "run" / "lock").write_text("1")
    assert home.holder() is None
    home.lock()
    home.unlock()


def test_leftovers_are_ended_but_not_a_process_that_took_the_number(tmp_path: Path) -> None:
    home = Home(Settings(home=tmp_path))
    home.prepare()
    ours, other = (subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) for _ in range(2))
    try:
        created = psutil.Process(ours.pid).create_time()
        noted = [["store", ours.pid, created], ["worker", other.pid, created - 1000]]
        (tmp_path / "run" / "processes.json").write_text(json.dumps(noted))
        assert home.end_leftovers() == 1
        assert not psutil.pid_exists(ours.pid)
        assert other.poll() is None
        assert home.end_leftovers() == 0
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def test_the_next_free_port_is_taken_where_the_default_is_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind((ports.HOST, 0))
        other.listen()
        taken = other.getsockname()[1]
        monkeypatch.setattr(ports, "DASHBOARD", taken)
        port = ports.dashboard_port(None)
    assert taken < port < taken + 100


def test_the_servers_socket_moves_where_the_homes_path_is_too_long(tmp_path: Path) -> None:
    short, long = Path("/srv/home"), tmp_path / ("x" * 90)
    assert valkey.socket_path(short) == short / "run" / "redis.sock"
    assert len(str(valkey.socket_path(long))) <= valkey.LONGEST_SOCKET
    assert valkey.socket_path(long) != valkey.socket_path(tmp_path / ("y" * 90))


def test_the_server_works_in_a_home_with_a_space(tmp_path: Path) -> None:
    home = tmp_path / "my home"
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(valkey.command(home), stdout=log)
    try:
        redis = Redis.from_url(valkey.address(home))
        wait_for(lambda: valkey.socket_path(home).exists(), "the socket is there")
        assert wait_for(redis.ping, "it answers")
        assert valkey.socket_path(home).stat().st_mode & 0o077 == 0
        assert valkey.socket_path(home).parent.stat().st_mode & 0o077 == 0
        redis.close()
    finally:
        server.terminate()
        server.wait(10)


@pytest.mark.parametrize(
    ("url", "celery"),
    [
        ("redis://h:1/2", "redis://h:1/2"),
        ("unix:///a/b.sock", "redis+socket:///a/b.sock?virtual_host=0"),
        ("unix://:pw@/a%20b.sock?db=3", "redis+socket://:pw@/a%20b.sock?virtual_host=3"),
    ],
)
def test_celery_spells_the_address_its_own_way(url: str, celery: str) -> None:
    assert celery_address(url) == celery
