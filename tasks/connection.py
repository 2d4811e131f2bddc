"""How a process talks to Redis: the address, a quick client for people, a patient one for workers."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from redis import Redis
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.retry import Retry

from engine.errors import BitfrontError
from engine.settings import Settings


class QueueUnavailable(BitfrontError):  # noqa: N818 - a state of the queue, as people read it
    """Redis does not answer; says so, and what did not happen."""


def address(settings: Settings) -> str:
    """The Redis address of these settings, else the one that `bitfront up` wrote. Raises QueueUnavailable."""
    found = settings.redis_url or settings.read_endpoints().get("redis")
    if not found:
        raise QueueUnavailable("no queue is running for this home: start it with `bitfront up`, or set REDIS_URL")
    return found


def celery_address(url: str) -> str:
    """The same address as Celery spells it: a unix socket is ``redis+socket://`` there, and TLS must say that the
    certificate is checked (redis-py does so unasked)."""
    parts = urlsplit(url)
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parse_qs(parts.query):
        return f"{url}{'&' if parts.query else '?'}ssl_cert_reqs=required"
    if parts.scheme != "unix":
        return url
    database = parse_qs(parts.query).get("db", ["0"])[0]
    return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"


def shown(url: str) -> str:
    """The address without its password, for messages."""
    try:
        password = urlsplit(url).password
    except ValueError:
        return "an address that cannot be read"
    url = url.replace(f":{password}@", ":***@") if password else url
    return re.sub(r"([?&]password=)[^&]*", r"\1***", url)


def quick(settings: Settings) -> Redis:
    """A client for someone who waits: gives up within about two seconds."""
    return Redis.from_url(
        address(settings),
        decode_responses=True,
        socket_connect_timeout=1,
        socket_timeout=2,
        retry=Retry(ExponentialBackoff(cap=0.2, base=0.05), 3),
    )


def hasty(settings: Settings) -> Redis:
    """A client that tries once: for whoever has something better to do than to wait for Redis."""
    return Redis.from_url(
        address(settings),
        decode_responses=True,
        socket_connect_timeout=0.5,
        socket_timeout=2,
        retry=Retry(NoBackoff(), 0),
    )


def patient(settings: Settings) -> Redis:
    """A client for a service: sits out a restart of Redis of some seconds."""
    return Redis.from_url(
        address(settings),
        decode_responses=True,
        socket_connect_timeout=2,
        socket_timeout=10,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=1, base=0.05), 20),
    )
