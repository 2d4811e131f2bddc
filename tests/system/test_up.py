"""`bitfront up` and `bitfront down` with real processes: they come, they stay, they go."""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from store.client import connect
from tasks.submit import submit
from tests.system.up import Up, bitfront, processes_of, rows
from tests.tasks.stack import ENDLESS, karate, wait_for

pytestmark = pytest.mark.system
BARE = ("--workers", "0", "--no-dashboard")
WHOLE = ("--workers", "1")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One home for the tests that start a whole Bitfront: each takes it as the one before has left it."""
    shared = Up(tmp_path_factory.mktemp("up") / "home")
    try:
        yield shared
    finally:
        shared.end_all()


@pytest.fixture
def going(home: Up) -> Up:
    """It runs, with one worker."""
    if not home.is_running or home.arguments == BARE:
        _restart(home, "--workers", "1", "--no-dashboard")
    return home


@pytest.fixture
def whole(home: Up) -> Up:
    """It runs, with one worker and the dashboard."""
    if not home.is_running or home.arguments != WHOLE:
        _restart(home, *WHOLE)
    return home


def _restart(home: Up, *arguments: str) -> None:
    if home.is_running:
        home.send(signal.SIGTERM)
        home.wait()
    home.start(*arguments)


def test_a_second_start_says_where_the_first_runs(whole: Up) -> None:
    address = whole.endpoints()["dashboard"]
    second = bitfront(whole.home, "up")
    assert second.stdout == f"Bitfront is already running at {address} (`bitfront down` ends it)\n"
    assert second.returncode == 0


@pytest.mark.chaos
def test_a_killed_dashboard_and_a_killed_store_lose_nothing_of_the_runs_that_go_on(whole: Up) -> None:
    epochs = 400
    specs = [karate(epochs=epochs, model="sage"), karate(epochs=epochs, model="sage", lr=1e30)]
    sound, broken = submit(whole.settings, specs)
    wait_for(lambda: [row for row in rows(whole.settings, runs=sound) if row["epoch"] > 0], "the run trains")
    store = whole.service("store.service")
    for name, module in (("dashboard", "streamlit"), ("store", "store.service")):
        whole.service(module).kill()
        told = f"{name} was ended by SIGKILL: it is started again"
        wait_for(lambda told=told: told in whole.output(), f"the death of the {name} is told")
    wait_for(lambda: _answers(whole), "the store answers again")
    assert whole.service("store.service").pid != store.pid

    def ended() -> list[dict[str, Any]]:
        return [row for row in rows(whole.settings, runs=[sound, broken]) if row["ended_at"] is not None]

    wait_for(lambda: len(ended()) == 2, "both runs end")
    found = {row["run"]: row for row in ended()}
    assert (found[sound]["state"], found[sound]["epoch"], found[sound]["gap"]) == ("finished", epochs, False)
    assert found[broken]["state"] == "failed"
    assert "loss is no longer a finite number at epoch" in found[broken]["reason"]
    with connect(whole.settings) as client:
        kept = client.query("epochs", runs=sound).to_pydict()["epoch"]
    assert kept == list(range(1, epochs + 1))
    wait_for(lambda: _is_up(whole.endpoints()["dashboard"]), "the dashboard answers again")


def test_everything_starts_trains_ends_and_remembers(whole: Up) -> None:
    endpoints = whole.endpoints()
    assert set(endpoints) == {"store", "redis", "dashboard", "pid"}
    assert f"Bitfront runs at {endpoints['dashboard']} (1 worker, " in whole.output()
    assert httpx.get(endpoints["dashboard"], trust_env=False).status_code == 200
    [run] = submit(whole.settings, [karate(epochs=5)])
    wait_for(lambda: rows(whole.settings, runs=run, states="finished"), "the run finishes")

    whole.send(signal.SIGTERM)
    assert whole.wait() == 0
    assert processes_of(whole.home) == []
    assert not whole.settings.endpoints.exists()

    whole.start("--workers", "1", "--no-dashboard")
    [row] = rows(whole.settings, runs=run)
    assert (row["run"], row["state"], row["epoch"]) == (run, "finished", 5)


def test_ctrl_c_hands_the_running_run_to_the_next_start(going: Up) -> None:
    [run] = submit(going.settings, [karate(epochs=ENDLESS)])
    wait_for(lambda: [row for row in rows(going.settings, runs=run) if row["epoch"] > 0], "the run trains")
    going.send(signal.SIGINT)
    assert going.wait() == 0
    assert processes_of(going.home) == []
    going.start("--workers", "1", "--no-dashboard")
    [row] = wait_for(
        lambda: [row for row in rows(going.settings, runs=run) if row["attempt"] == 2 and row["epoch"] > 0],
        "the run trains again",
    )
    assert row["state"] == "running"


def test_a_killed_supervisor_takes_its_children_along_and_blocks_nobody(going: Up) -> None:
    first = wait_for(lambda: found if len(found := processes_of(going.home)) >= 5 else None, "everything runs")
    going.send(signal.SIGKILL)  # the supervisor, the store, the dispatcher, the worker and its child
    going.wait()
    going.start(*BARE)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in first)


def test_down_ends_everything(home: Up) -> None:
    if not home.is_running:
        home.start(*BARE)
    down = bitfront(home.home, "down")
    assert (down.stdout, down.returncode) == (f"Bitfront on {home.home} has ended\n", 0)
    assert home.wait() == 0
    assert processes_of(home.home) == []


def test_down_where_nothing_runs_says_so(tmp_path: Path) -> None:
    down = bitfront(tmp_path, "down")
    assert (down.stdout, down.returncode) == (f"Bitfront is not running on {tmp_path}\n", 0)


def _is_up(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _answers(up: Up) -> bool:
    try:
        with connect(up.settings) as client:
            return client.health()["redis"] == "connected"
    except Exception:
        return False


def test_a_service_that_does_not_start_is_named_with_its_log(up: Up) -> None:
    up.home.mkdir(parents=True)
    (up.home / "bitfront.duckdb").write_text("this is no database")
    failed = bitfront(up.home, "up", *BARE)
    assert failed.returncode == 1
    assert failed.stderr.startswith("bitfront: the store does not start: ")
    assert failed.stderr.endswith(f"(see {up.home / 'logs' / 'store.log'})\n")
    assert failed.stderr.count("\n") == 1
    assert processes_of(up.home) == []


def test_a_taken_port_is_refused(up: Up) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        failed = bitfront(up.home, "up", "--port", str(port), "--workers", "0")
    assert failed.stderr == f"bitfront: port {port} is taken: choose another with --port, or leave --port out\n"
    assert failed.returncode == 1
    assert processes_of(up.home) == []


def test_a_home_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "home"
    failed = bitfront(home, "up")
    assert failed.stderr == (
        f"bitfront: the home {home} cannot be written (Not a directory): "
        "set BITFRONT_HOME to a folder that you may write to\n"
    )
    assert failed.returncode == 1


def test_a_redis_that_does_not_answer_is_refused(up: Up) -> None:
    failed = bitfront(up.home, "up", *BARE, REDIS_URL="redis://127.0.0.1:1/0")
    assert failed.stderr.startswith("bitfront: the Redis that REDIS_URL names does not answer: ")
    assert failed.returncode == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--workers", "-1"), "workers = -1 is not allowed: it is a number from 0 to 256"),
        (("--port", "70000"), "port = 70000 is not allowed: it is a number from 0 (any free one) to 65535"),
    ],
)
def test_a_number_out_of_range_is_refused(up: Up, arguments: tuple[str, ...], sentence: str) -> None:
    failed = bitfront(up.home, "up", *arguments)
    assert (failed.stderr, failed.returncode) == (f"bitfront: {sentence}\n", 2)
