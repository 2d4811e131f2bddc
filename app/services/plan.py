"""What runs: the command line, the environment and the sign of life of each service."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

import app
from app.services import valkey
from app.services.child import Child, Service, says_ready
from app.services.home import Home
from app.services.ports import HOST, free_port

SOURCE = Path(app.__file__).parent
"""Where this package lies; the dashboard is started in its parent, where Streamlit's settings are."""


EVERYWHERE = ("0.0.0.0", "::")
"""Addresses that stand for every one of this machine's."""


@dataclass(frozen=True)
class Worker:
    """One worker to start: on the processor, or on the GPU that ``CUDA_VISIBLE_DEVICES`` calls ``gpu``."""

    gpu: str | None = None


@dataclass(frozen=True)
class Plan:
    """The services of one `bitfront up`, in the order in which they are needed."""

    redis_url: str
    store_url: str
    dashboard_url: str
    queue: Service | None
    """The embedded server; None where REDIS_URL names another."""
    store: Service
    dispatcher: Service
    workers: tuple[Service, ...]
    dashboard: Service | None


def make_plan(
    home: Home,
    workers: Iterable[Worker],
    port: int,
    data: Path | None = None,
    *,
    dashboard: bool = True,
    host: str = HOST,
) -> Plan:
    """Settle the addresses, and what each service is told of them through its environment.

    ``host``: where the dashboard listens; the others always listen on this machine only.
    """
    settings = home.settings
    store_port = free_port()
    redis_url = settings.redis_url or valkey.address(home.path)
    store_url = f"http://{HOST}:{store_port}"
    environment = {
        "BITFRONT_HOME": str(home.path),
        "BITFRONT_DATA": str((data or settings.data_root).expanduser().absolute()),
        "REDIS_URL": redis_url,
        "BITFRONT_STORE_URL": store_url,
        "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR") or str(home.path / "numba"),
        "PYTHONUNBUFFERED": "1",
    }
    if settings.mirror:
        environment["BITFRONT_MIRROR"] = (
            settings.mirror if "://" in settings.mirror else str(Path(settings.mirror).expanduser().absolute())
        )
    queue = None
    if settings.redis_url is None:
        queue = Service("queue", valkey.command(home.path), partial(_pings, redis_url))
    return Plan(
        redis_url=redis_url,
        store_url=store_url,
        dashboard_url=f"http://{HOST if host in EVERYWHERE else host}:{port}",
        queue=queue,
        store=Service("store", _python("store.service", "--port", str(store_port)), says_ready, environment),
        dispatcher=Service("dispatcher", _python("tasks.dispatch"), says_ready, environment),
        workers=tuple(_worker(number, worker, environment) for number, worker in enumerate(workers, 1)),
        dashboard=_dashboard(host, port, environment) if dashboard else None,
    )


def redis_answers(url: str) -> str | None:
    """None if the Redis at this address answers, else why not."""
    try:
        with Redis.from_url(url, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as redis:
            redis.ping()
    except (RedisError, ValueError, OSError) as error:
        return str(error)
    return None


def _python(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def _worker(number: int, worker: Worker, environment: dict[str, str]) -> Service:
    device_class = "cpu" if worker.gpu is None else "cuda"
    name = f"worker-{number}"
    own = {} if worker.gpu is None else {"CUDA_VISIBLE_DEVICES": worker.gpu}
    command = _python("tasks.worker", "--device-class", device_class, "--name", f"{name}@{socket.gethostname()}")
    return Service(name, command, says_ready, environment | own)


def _dashboard(host: str, port: int, environment: dict[str, str]) -> Service:
    command = _python("app.serve", "--host", host, "--port", str(port))
    health = f"http://{HOST if host in EVERYWHERE else host}:{port}/_stcore/health"
    return Service("dashboard", command, partial(_serves, health), environment, folder=SOURCE.parent)


def _pings(url: str, child: Child) -> bool:
    return redis_answers(url) is None


def _serves(url: str, child: Child) -> bool:
    try:
        return httpx.get(url, timeout=0.5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
