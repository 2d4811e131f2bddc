"""Launch, cancel and measure: one write each, which happens whole or not at all (sweeps: tasks.sweeps).

Imported by the dashboard and the command line, so neither Celery nor torch is needed here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from engine import grammar
from engine.errors import BitfrontError, InputError
from engine.events import (
    CancelRequested,
    Envelope,
    ResumeRequested,
    RunQueued,
    SearchCancelRequested,
    SearchQueued,
    new_run_id,
)
from engine.recipe_files import refuse_files
from engine.search.file import SearchFile, fp32_of, space_of
from engine.settings import Settings
from engine.spec import RunSpec
from store.client import StoreClient, connect
from tasks import keys
from tasks.connection import QueueUnavailable, address, quick, shown

__all__ = [
    "Asked",
    "NotNow",
    "QueueUnavailable",
    "cancel",
    "cancel_all",
    "cancel_search",
    "measure",
    "measuring",
    "resume",
    "search",
    "submit",
]

UNFINISHED = ("queued", "running", "cancelling")
CATCH_UP_SECONDS = 10
"""How long is waited for the store to hear of what was launched a moment ago."""

# Attempts so far count as none, nobody asked to cancel it, and the store queues it again.
_RESUME = """
local cancel, claimed, given_back, sent, stream = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local newest = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', claimed) or '0'))
redis.call('DEL', cancel, sent)
redis.call('SET', claimed, newest, 'EX', ARGV[3])
redis.call('HSET', given_back, 'count', newest, 'attempt', newest)
redis.call('EXPIRE', given_back, ARGV[3])
redis.call('XADD', stream, '*', 'e', ARGV[2])
return newest
"""


class NotNow(BitfrontError):  # noqa: N818 - a state, as people read it
    """What was asked for has to wait for something else; says so, and that nothing happened."""


def submit(
    settings: Settings,
    specs: Sequence[RunSpec],
    *,
    priority: int = 5,
    sweep: str | None = None,
    parent: str | None = None,
) -> list[str]:
    """Launch runs, all of them or none; gives their run ids in the order of the specs.

    ``priority``: 0 is served first, 9 last. ``parent``: the run they were cloned from. Raises InputError for a
    wrong priority, no spec, a scheme that names a recipe file, or a dataset that names a path, QueueUnavailable if
    Redis does not answer within about two seconds.
    """
    if not specs:
        raise InputError("there is nothing to launch: give at least one run")
    check_room(settings, len(specs))
    envelopes = queued(specs, [priority] * len(specs), sweep, parent)
    write(settings, lambda pipe: say(pipe, envelopes), "launched")
    return [envelope.run for envelope in envelopes]


def queued(
    specs: Sequence[RunSpec], priorities: Sequence[int], sweep: str | None, parent: str | None = None
) -> list[Envelope]:
    """What launches these runs, each with an id of its own; saying it is all that is left to do.

    Raises InputError as ``submit`` does.
    """
    for priority in set(priorities):
        if isinstance(priority, bool) or not isinstance(priority, int) or not 0 <= priority <= 9:
            raise InputError(f"priority = {priority!r} is not allowed: it is a whole number from 0 (first) to 9 (last)")
    for spec in specs:
        refuse_files(grammar.parse(spec.scheme, "scheme"), spec.scheme)
        spec.dataset.check_elsewhere()
    now = time.time()
    return [
        Envelope(
            run=new_run_id(),
            # The order of the specs is the order of service. The store keeps microseconds, and a float of this
            # size is off by a quarter of one: at distances of one, two neighbours could round to the same time.
            # The last is now: the store cuts what lies in its future.
            at=now - (len(specs) - index) * 2e-6,
            body=RunQueued(spec=spec.model_dump(mode="json"), priority=priority, sweep=sweep, parent=parent),
        )
        for index, (spec, priority) in enumerate(zip(specs, priorities, strict=True))
    ]


def search(settings: Settings, file: SearchFile) -> str:
    """Launch a search, which the dispatcher drives; gives its id.

    Raises InputError for a space or a row that names a file, QueueUnavailable if Redis does not answer.
    """
    spec = fp32_of(file)
    space = space_of(file)
    text = space.text((0,) * len(space.axes))
    refuse_files(grammar.parse(text, "scheme"), text)
    spec.dataset.check_elsewhere()
    body = SearchQueued(
        name=file.name, dataset=spec.dataset.name, model=spec.model.name, file=file.model_dump(mode="json")
    )
    envelope = Envelope(run=new_run_id(), at=time.time(), body=body)
    write(settings, lambda pipe: say(pipe, [envelope]), "launched")
    return envelope.run


def cancel_search(settings: Settings, search: str) -> None:
    """Ask to end a search, and to cancel those of its runs that are not over; one that has ended is left as it is.

    Raises QueueUnavailable if Redis does not answer, StoreUnavailable if the store does not.
    """
    envelope = Envelope(run=search, at=time.time(), body=SearchCancelRequested())
    write(settings, lambda pipe: say(pipe, [envelope]), "cancelled")
    with connect(settings) as store:
        rows = store.query("trials", search=search).to_pylist()
    cancel(settings, [row["run"] for row in rows if row["state"] in UNFINISHED])


def check_room(settings: Settings, wanted: int) -> None:
    """Raise InputError where a launch would make more runs wait than the settings allow.

    Where the store does not say how many wait, the launch alone is counted.
    """
    try:
        with connect(settings, as_viewer=True) as store:
            waiting = int(store.health()["counts"].get("queued", 0))
    except BitfrontError:
        waiting = 0
    if waiting + wanted > settings.most_queued:
        raise InputError(
            f"{wanted} more runs would make {waiting + wanted} wait, and at most {settings.most_queued} may "
            "(BITFRONT_MOST_QUEUED): cancel some, or launch when some have ended"
        )


def cancel(settings: Settings, runs: Iterable[str]) -> None:
    """Ask to cancel runs: a queued one ends at once, a running one within its current epoch.

    A run that has ended is left as it is. Raises QueueUnavailable if Redis does not answer.
    """
    asked = list(dict.fromkeys(runs))
    now = time.time()
    envelopes = [Envelope(run=run, at=now, body=CancelRequested()) for run in asked]

    def said(pipe: Any) -> None:
        for run in asked:
            pipe.set(keys.cancel(run), 1, ex=keys.MEMORY_SECONDS)
        say(pipe, envelopes)

    if envelopes:
        write(settings, said, "cancelled")


def cancel_all(settings: Settings) -> int:
    """Ask to cancel every run that is not over, those that were launched a moment ago too; gives how many.

    Raises QueueUnavailable if Redis does not answer, StoreUnavailable if the store does not.
    """
    with connect(settings) as store:
        catch_up(settings, store, "cancelled")
        runs = store.query("unfinished")["run"].to_pylist()
    cancel(settings, runs)
    return len(runs)


def catch_up(settings: Settings, store: StoreClient, done: str) -> bool:
    """Wait until the store has heard of all that was said so far, ten seconds at most; gives whether it has.

    ``done``: what was not done where the queue does not answer ("cancelled"). Raises QueueUnavailable.
    """
    url = address(settings)
    try:
        with quick(settings) as redis:
            seen = _last_entry(redis)
    except RedisError as error:
        raise QueueUnavailable(f"the queue at {shown(url)} does not answer ({error}): nothing was {done}") from None
    deadline = time.monotonic() + CATCH_UP_SECONDS
    while _numbers(str(store.health()["stream_position"])) < seen:
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.05)
    return True


def resume(settings: Settings, runs: Mapping[str, int]) -> None:
    """Have cancelled or failed runs go on, each from its last checkpoint if one is left, else from its beginning.

    ``runs``: the newest attempt that the store knows, by run; the attempts so far count as none. A run in any other
    state is left as it is. Raises QueueUnavailable if Redis does not answer.
    """
    if runs:
        write(settings, lambda pipe: say_resumed(pipe, runs), "resumed")


def say_resumed(pipe: Any, runs: Mapping[str, int]) -> None:
    """``resume``, as a part of a write."""
    now = time.time()
    for run, attempt in runs.items():
        names = [keys.cancel(run), keys.claimed(run), keys.given_back(run), keys.sent(run), keys.EVENTS]
        text = Envelope(run=run, at=now, body=ResumeRequested()).to_json()
        pipe.eval(_RESUME, len(names), *names, attempt, text, keys.MEMORY_SECONDS)


def measure(settings: Settings, *runs: str) -> None:
    """Ask the workers to measure runs as ``bitfront measure`` does, each once it has finished.

    What was asked for already, and is not done, is not asked for again. Raises QueueUnavailable if Redis does not
    answer.
    """

    def asked(pipe: Any) -> None:
        for run in runs:
            pipe.zadd(keys.MEASURE, {run: 0}, nx=True)
            pipe.delete(keys.measure_failed(run))

    if runs:
        write(settings, asked, "asked for")


@dataclass(frozen=True)
class Asked:
    """What has become of a measurement that somebody asked for; there is none once it is done."""

    state: Literal["waiting", "measuring", "failed"]
    reason: str = ""
    """Why it failed."""


def measuring(settings: Settings, runs: Iterable[str]) -> dict[str, Asked]:
    """The measurements of these runs that wait, go on, or have failed. Raises QueueUnavailable."""
    asked = list(dict.fromkeys(runs))
    url = address(settings)
    try:
        with quick(settings) as redis, redis.pipeline(transaction=False) as pipe:
            for run in asked:
                pipe.zscore(keys.MEASURE, run)
                pipe.exists(keys.lease(run))
                pipe.get(keys.measure_failed(run))
            answers = iter(pipe.execute())
    except RedisError as error:
        raise QueueUnavailable(f"the queue at {shown(url)} does not answer ({error})") from None
    found: dict[str, Asked] = {}
    for run in asked:
        begun, held, reason = next(answers), next(answers), next(answers)
        if begun is not None:
            found[run] = Asked("measuring" if begun and held else "waiting")
        elif reason is not None:
            found[run] = Asked("failed", str(reason))
    return found


def write(settings: Settings, fill: Callable[[Any], None], done: str) -> None:
    """One transaction that ``fill`` fills: all of it happens, or nothing. Raises QueueUnavailable, which says what was
    not ``done``."""
    with _answering(settings, done) as redis:
        try:
            with redis.pipeline(transaction=True) as pipe:
                fill(pipe)
                pipe.execute()
        except RedisError as error:
            raise QueueUnavailable(
                f"the queue at {shown(address(settings))} stopped answering ({error}): "
                f"look whether the runs were {done} before you try again"
            ) from None


@contextmanager
def alone(settings: Settings, name: str, seconds: float, busy: str, done: str) -> Iterator[None]:
    """Hold the lock of this name, for so many seconds at most. Raises NotNow, which says ``busy``, where somebody else
    does, and QueueUnavailable, which says what was not ``done``."""
    with _answering(settings, done) as redis:
        lock = redis.lock(name, timeout=seconds, blocking=False)
        try:
            held = lock.acquire()
        except RedisError as error:
            url = shown(address(settings))
            raise QueueUnavailable(f"the queue at {url} does not answer ({error}): nothing was {done}") from None
        if not held:
            raise NotNow(busy)
        try:
            yield
        finally:
            with suppress(RedisError):  # it ends by itself
                lock.release()


@contextmanager
def _answering(settings: Settings, done: str) -> Iterator[Redis]:
    """A client of a queue that answers. Raises QueueUnavailable, which says what was not ``done``."""
    try:
        url = address(settings)
    except QueueUnavailable as error:
        raise QueueUnavailable(f"{error}; nothing was {done}") from None
    try:
        redis = quick(settings)
    except ValueError as error:
        raise QueueUnavailable(f"REDIS_URL = {shown(url)!r} is no address: {error}; nothing was {done}") from None
    with redis:
        try:
            redis.ping()
        except RedisError as error:
            raise QueueUnavailable(f"the queue at {shown(url)} does not answer ({error}): nothing was {done}") from None
        yield redis


def _last_entry(redis: Any) -> tuple[int, int]:
    """The newest entry that the stream ever had, as numbers."""
    try:
        return _numbers(str(redis.xinfo_stream(keys.EVENTS)["last-generated-id"]))
    except ResponseError:  # there is no stream yet
        return (0, 0)


def _numbers(position: str) -> tuple[int, int]:
    millis, _, count = position.partition("-")
    return int(millis or 0), int(count or 0)


def say(pipe: Any, envelopes: Iterable[Envelope]) -> None:
    """Put events into the stream, as a part of a write."""
    for envelope in envelopes:
        pipe.xadd(keys.EVENTS, {"e": envelope.to_json()})
