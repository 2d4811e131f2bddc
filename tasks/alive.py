"""Whether the dispatcher, or a worker, is alive: for health checks (exit status 0 or 1).

    python -m tasks.alive dispatcher
    python -m tasks.alive worker [--name NAME]

A worker started without a name is found by its host, as in a container of its own.
"""

from __future__ import annotations

import argparse
import socket
import sys

from redis.exceptions import RedisError

from engine.errors import BitfrontError
from engine.settings import Settings
from tasks import keys
from tasks.connection import quick
from tasks.messages import CLASSES


def is_alive(settings: Settings, service: str, name: str | None = None) -> bool:
    """Whether it was heard within some seconds. Raises QueueUnavailable, RedisError."""
    with quick(settings) as redis:
        if service == "dispatcher":
            return redis.get(keys.DISPATCHER) is not None
        seconds, _ = redis.time()
        since = seconds - keys.WORKER_SECONDS
        heard = [str(worker) for kind in CLASSES for worker in redis.zrangebyscore(keys.workers(kind), since, "+inf")]
    if name:
        return name in heard
    return any(worker.endswith(f"@{socket.gethostname()}") for worker in heard)


def main(argv: list[str] | None = None) -> int:
    """Exit status 0: alive; 1: not heard of, or the queue does not answer."""
    parser = argparse.ArgumentParser(prog="python -m tasks.alive", description="Is a service alive?")
    parser.add_argument("service", choices=["dispatcher", "worker"])
    parser.add_argument("--name", default=None)
    asked = parser.parse_args(argv)
    try:
        alive = is_alive(Settings(), asked.service, asked.name)
    except (BitfrontError, RedisError) as error:
        print(error, file=sys.stderr)
        return 1
    if not alive:
        print(f"the {asked.service} was not heard for {keys.WORKER_SECONDS} s", file=sys.stderr)
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main())
