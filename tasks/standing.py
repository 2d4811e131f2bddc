"""How the queue stands, for people: whether anybody hands out runs, who takes them, what waits. Needs no Celery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from redis.exceptions import RedisError

from engine.settings import Settings
from tasks import keys
from tasks.connection import QueueUnavailable, address, hasty, shown

PRIORITIES = range(10)


@dataclass(frozen=True)
class Standing:
    """What Redis knows now."""

    server: str
    """The server's kind and version."""
    memory: int
    """What it holds in memory, bytes."""
    uptime: int
    """Seconds since it was started."""
    has_dispatcher: bool
    """Whether somebody hands runs to the workers."""
    workers: Mapping[str, int]
    """Workers heard of by class, in the last ``keys.WORKER_SECONDS``."""
    messages: Mapping[str, int]
    """Messages under way to the workers, by class."""
    events: int
    """Entries of the stream of events, those that were read included (it is cut now and then)."""
    to_measure: int
    """Runs that somebody asked to measure."""


def look(settings: Settings) -> Standing:
    """Ask once. Raises QueueUnavailable where there is no queue, or where it does not answer."""
    classes = get_args(keys.DeviceClass)
    url = shown(address(settings))
    try:
        with hasty(settings) as redis:
            answers: Any = redis.time()
            oldest = answers[0] - keys.WORKER_SECONDS
            with redis.pipeline(transaction=False) as pipe:
                pipe.info()
                pipe.exists(keys.DISPATCHER)
                pipe.xlen(keys.EVENTS)
                pipe.zcard(keys.MEASURE)
                for device_class in classes:
                    pipe.zcount(keys.workers(device_class), oldest, "+inf")
                    for priority in PRIORITIES:
                        pipe.llen(keys.waiting(device_class, priority))
                info, dispatcher, events, to_measure, *counts = pipe.execute()
    except RedisError as error:
        raise QueueUnavailable(f"the queue at {url} does not answer ({error})") from None
    except ValueError as error:
        raise QueueUnavailable(f"REDIS_URL = {url!r} is no address: {error}") from None
    step = 1 + len(PRIORITIES)
    each = {name: counts[place * step : (place + 1) * step] for place, name in enumerate(classes)}
    return Standing(
        server=f"{'Valkey' if 'valkey_version' in info else 'Redis'} "
        f"{info.get('valkey_version') or info['redis_version']}",
        memory=int(info["used_memory"]),
        uptime=int(info["uptime_in_seconds"]),
        has_dispatcher=bool(dispatcher),
        workers={name: found[0] for name, found in each.items()},
        messages={name: sum(found[1:]) for name, found in each.items()},
        events=events,
        to_measure=to_measure,
    )
