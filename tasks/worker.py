"""A worker: one Celery process that trains one run at a time, in a child of its own.

    python -m tasks.worker --device-class cpu [--name NAME]

Reads REDIS_URL and the other settings from the environment. SIGTERM ends it: the run in training is
handed back after its current epoch and starts again elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
import warnings
from contextlib import suppress
from typing import Any

from billiard.exceptions import WorkerLostError
from celery.exceptions import SecurityWarning
from celery.signals import task_failure, worker_ready, worker_shutdown, worker_shutting_down
from celery.worker import state
from redis.exceptions import RedisError

from engine.errors import BitfrontError
from engine.settings import Settings
from tasks import keys
from tasks.artifacts import Sender
from tasks.connection import address, quick
from tasks.devices import gpus
from tasks.heartbeat import Heart
from tasks.queue import celery, read_task_id
from tasks.spool import deliver_left
from tasks.warm import compiled

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Set before the child imports torch: a small GCN takes 40 times as long with two threads as with one."""


def main(argv: list[str] | None = None) -> int:
    """Run a worker until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m tasks.worker", description="Train runs from the queue.")
    parser.add_argument("--device-class", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--name", default=None, help="unique among the workers; default: the class and this host")
    asked = parser.parse_args(argv)
    name = asked.name or f"{asked.device_class}@{socket.gethostname()}"
    if "@" not in name:
        name = f"{name}@{socket.gethostname()}"
    settings = Settings()
    try:
        address(settings)
    except BitfrontError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    for variable in THREADS:
        os.environ.setdefault(variable, str(settings.threads))
    os.environ.setdefault("NUMBA_CACHE_DIR", str(compiled(settings)))
    device = "cpu"
    if asked.device_class == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    else:
        found = gpus()
        if not found:
            print("there is no GPU that torch can use: start the worker with --device-class cpu", file=sys.stderr)
            return 1
        device = found[0].name
    warnings.simplefilter("ignore", SecurityWarning)  # root is usual in containers; only JSON is accepted
    _beat(Heart(quick(settings), name, asked.device_class, device, _current), settings)
    options = ["--hostname", name, "--queues", keys.queue(asked.device_class), "--loglevel", "INFO"]
    lean = ["--optimization", "fair", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    celery.worker_main(["--quiet", "worker", *options, *lean])
    return 0


def _current() -> tuple[str, int] | None:
    """The run and the attempt that the child trains now."""
    for request in tuple(state.active_requests):
        return read_task_id(str(request.id))
    return None


def describe_end(text: str) -> str:
    """How the pool says that its child ended, in short: "SIGKILL", "exit status 1"."""
    if found := re.search(r"\((SIG[A-Z0-9]+)\)", text):
        return found[1]
    if found := re.search(r"exitcode (-?\d+)", text):
        return f"exit status {found[1]}"
    return "killed"


def _beat(heart: Heart, settings: Settings) -> None:
    """Tie the heart, and who sends what was left, to the worker's life.

    (Celery keeps only weak references to receivers.)
    """
    sender = Sender(settings)

    def ready(**_: Any) -> None:
        with suppress(RedisError):
            deliver_left(settings.spool, heart.redis)
        heart.begin()
        sender.start()
        print(json.dumps({"ready": True, "worker": heart.worker}), flush=True)

    def shutting_down(**_: Any) -> None:
        heart.stopping.set()

    def shutdown(**_: Any) -> None:
        sender.end()
        heart.end()

    def failed(task_id: str = "", exception: BaseException | None = None, **_: Any) -> None:
        if isinstance(exception, WorkerLostError):
            heart.mourn(read_task_id(str(task_id))[0], describe_end(str(exception)))

    task_failure.connect(failed, weak=False)
    worker_ready.connect(ready, weak=False)
    worker_shutting_down.connect(shutting_down, weak=False)
    worker_shutdown.connect(shutdown, weak=False)


if __name__ == "__main__":
    sys.exit(main())
