"""The real services of a queue as child processes that a test starts, kills and starts again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from app.services import valkey
from app.services.child import die_with_parent
from app.services.ports import HOST, free_port
from engine.events import Envelope
from engine.settings import Settings
from engine.spec import RunSpec
from store.client import StoreClient, StoreUnavailable
from tasks import keys
from tasks.submit import cancel, submit


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 120.0, *, every: float = 0.05) -> Any:
    """The condition's first true value, looked at ``every`` so often; fails with ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    pause = threading.Event()
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        pause.wait(every)
    return value


TOKEN = "the tests' token"


class Stack:
    """Queue, store, dispatcher and workers on one home, each a process of its own."""

    def __init__(self, home: Path, *, redis_url: str | None = None) -> None:
        self.home = home
        self.home.mkdir(parents=True, exist_ok=True)
        self.store_port = free_port()
        self.settings = Settings(
            home=home,
            redis_url=redis_url or valkey.address(home),
            store_url=f"http://{HOST}:{self.store_port}",
            data=home / "data",
        )
        self.redis = Redis.from_url(
            str(self.settings.redis_url),
            decode_responses=True,
            retry=Retry(ConstantBackoff(0.05), 200),
            socket_timeout=10,
        )
        self.store = StoreClient(f"http://{HOST}:{self.store_port}")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        """Start ``queue``, ``store``, ``dispatcher`` or a worker of any other name, and wait until it answers."""
        if self.alive(name):
            return
        log = self.log(name)
        seen = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self.processes[name] = subprocess.Popen(
                self._command(name),
                stdout=out,
                stderr=out,
                env=self._environment(),
                start_new_session=True,
                preexec_fn=die_with_parent(os.getpid()),
            )
        if name == "queue":
            wait_for(self.redis.ping, "the queue answers")
        else:
            wait_for(lambda: b'{"ready"' in log.read_bytes()[seen:], f"{name} is ready: {log}")

    def _command(self, name: str) -> Sequence[str]:
        if name == "queue":
            return valkey.command(self.home)
        module = {"store": "store.service", "dispatcher": "tasks.dispatch"}.get(name, "tasks.worker")
        arguments = {"store": ["--port", str(self.store_port)], "dispatcher": []}.get(name, ["--name", name])
        return [sys.executable, "-m", module, *arguments]

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "BITFRONT_HOME": str(self.home),
            "BITFRONT_DATA": str(self.settings.data_root),
            "REDIS_URL": str(self.settings.redis_url),
            "BITFRONT_STORE_URL": str(self.settings.store_url),
            "BITFRONT_STORE_TOKEN": TOKEN,
            "BITFRONT_CHECKPOINT_SECONDS": "0.2",
        }

    def alive(self, name: str) -> bool:
        process = self.processes.get(name)
        return process is not None and process.poll() is None

    def log(self, name: str) -> Path:
        return self.home / f"{name}.log"

    def kill(self, name: str) -> None:
        """kill -9, the process and its children."""
        process = self.processes.pop(name)
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        psutil.wait_procs(children)

    def end(self, name: str) -> int:
        """SIGTERM, and wait."""
        process = self.processes.pop(name)
        process.terminate()
        return process.wait(60)

    def end_all(self) -> None:
        """Nothing is left behind, whatever the test did."""
        for name in list(self.processes):
            if self.alive(name):
                self.kill(name)
        self.redis.close()
        self.store.close()

    def said(self) -> list[Envelope]:
        """What lies in the stream (the store, where one runs, trims what it has applied)."""
        entries: Any = self.redis.xrange(keys.EVENTS)
        return [Envelope.from_json(entry["e"]) for _, entry in entries]

    def launch(self, *specs: RunSpec, priority: int = 5) -> list[str]:
        return submit(self.settings, list(specs), priority=priority)

    def row(self, run: str) -> dict[str, Any]:
        """The store's row of a run, empty while it does not answer or has not heard of it."""
        try:
            rows = self.store.query("run", run=run).to_pylist()
        except StoreUnavailable:
            return {}
        return rows[0] if rows else {}

    def clear(self) -> None:
        """Cancel what an earlier test that failed left going."""

        def left() -> list[str]:
            return self.store.query("dispatchable")["run"].to_pylist()

        cancel(self.settings, left())
        wait_for(lambda: not left(), "nothing is going")

    def until(self, run: str, *states: str, seconds: float = 120.0) -> dict[str, Any]:
        """The row of a run once it is in one of these states."""
        return wait_for(
            lambda: row if (row := self.row(run)).get("state") in states else None, f"{run} is {states}", seconds
        )

    def until_epoch(self, run: str, epoch: int, attempt: int = 1) -> dict[str, Any]:
        return wait_for(
            lambda: row if (row := self.row(run)) and row["epoch"] >= epoch and row["attempt"] >= attempt else None,
            f"{run} reaches epoch {epoch} of attempt {attempt}",
        )

    def epochs(self, run: str) -> list[int]:
        return self.store.query("epochs", runs=run)["epoch"].to_pylist()

    def losses(self, run: str) -> list[float]:
        return self.store.query("epochs", runs=run)["train_loss"].to_pylist()


def karate(
    *,
    epochs: int = 20,
    seed: int = 0,
    scheme: str = "fp32",
    lr: float = 0.01,
    device: str = "auto",
    model: str = "gcn",
) -> RunSpec:
    """A run that takes some milliseconds an epoch and needs no file."""
    training = {"epochs": epochs, "lr": lr}
    return RunSpec.parse(
        {"dataset": "karate", "model": model, "scheme": scheme, "seed": seed, "training": training, "device": device}
    )


ENDLESS = 100_000
"""Epochs of a run that no test waits for."""
