"""Follows the Redis stream of events: reads what is new, has it applied, trims what is in the tables.

A batch is what came in 200 ms, at most 5000 events. The position is the tables', so a restarted store reads
on where they are; entries are trimmed only behind it. Without Redis the follower keeps trying.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from engine.settings import Settings
from store.ingest import BEGINNING, Received

STREAM = "bitfront:events"
FIELD = b"e"

BATCH_EVENTS = 5000
BATCH_SECONDS, MOST_SECONDS = 0.2, 1.0
"""From one batch to the next: at least, and at most for the sake of ``SHARE``."""
SHARE = 0.1
"""Of the time that applying batches may take: a batch of few events costs nearly what one of many does."""
_BLOCK_SECONDS = 1.0
_TRIM_EVERY_SECONDS = 1.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0

log = structlog.get_logger(__name__)


def redis_url(settings: Settings) -> str | None:
    """The address of Redis: from the environment, else of the one that `bitfront up` runs."""
    return settings.redis_url or settings.read_endpoints().get("redis")


class Follower:
    """A thread that reads the stream and hands each batch to ``apply``, which returns when it is committed."""

    def __init__(
        self,
        settings: Settings,
        position: Callable[[], str],
        apply: Callable[[Sequence[Received]], Any],
    ) -> None:
        self._settings = settings
        self._position = position
        self._apply = apply
        self._stop = threading.Event()
        self._connected = threading.Event()
        self.trouble: str | None = None
        """Why nothing comes in, in words."""
        self._thread = threading.Thread(target=self._run, name="store-follower", daemon=True)

    @property
    def is_connected(self) -> bool:
        """Whether Redis answered last time."""
        return self._connected.is_set()

    @property
    def state(self) -> str:
        """ "connected", "unreachable", or "none" where no Redis is named."""
        if self.is_connected:
            return "connected"
        return "none" if redis_url(self._settings) is None else "unreachable"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after the batch at hand."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stop.is_set():
            try:
                self._follow()
            except (redis.RedisError, OSError, ValueError) as error:
                if self._connected.is_set():
                    log.warning("redis does not answer, trying again", error=str(error))
                    pause = _FIRST_PAUSE
                self._connected.clear()
                self.trouble = None if redis_url(self._settings) is None else _in_words(error)
            except Exception:
                log.exception("a batch of events could not be applied, trying again")
            self._stop.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _follow(self) -> None:
        url = redis_url(self._settings)
        if url is None:
            raise ValueError("no Redis is named")
        with redis.Redis.from_url(
            url, socket_connect_timeout=2, socket_timeout=_BLOCK_SECONDS + 4, retry=Retry(NoBackoff(), 0)
        ) as server:
            position = self._start_position(server)
            self._connected.set()
            self.trouble = None
            trimmed = 0.0
            while not self._stop.is_set():
                began = time.monotonic()
                entries = _read(server, position)
                if entries:
                    read = time.monotonic()
                    self._apply(entries)
                    position = entries[-1].position or position
                    if time.monotonic() - trimmed > _TRIM_EVERY_SECONDS or len(entries) < BATCH_EVENTS:
                        server.xtrim(STREAM, minid=position, approximate=False)
                        trimmed = time.monotonic()
                    if len(entries) < BATCH_EVENTS:
                        now = time.monotonic()
                        self._stop.wait(pause_after(now - began, applying=now - read))

    def _start_position(self, server: redis.Redis) -> str:
        """The tables' position; the stream's beginning where the stream is another one, younger than the tables."""
        position = self._position()
        if not server.exists(STREAM):
            return BEGINNING
        info: Any = server.xinfo_stream(STREAM)
        last = info["last-generated-id"].decode()
        if _as_numbers(last) < _as_numbers(position):
            log.warning("the stream is younger than the tables: reading it from its beginning", last=last)
            return BEGINNING
        return position


def pause_after(seconds: float, *, applying: float) -> float:
    """How long to gather events after a batch that took so long from its beginning, and so long to be applied."""
    return max(0.0, BATCH_SECONDS - seconds, min(applying / SHARE, MOST_SECONDS) - applying)


def _in_words(error: Exception) -> str:
    if "No space left" in str(error):
        return "the disk is full: the queue takes nothing, and the workers keep what they have to say"
    return f"the queue does not answer ({error}): the workers keep what they have to say"


def _read(server: redis.Redis, position: str) -> list[Received]:
    answer: Any = server.xread({STREAM: position}, count=BATCH_EVENTS, block=int(1000 * _BLOCK_SECONDS))
    if not answer:
        return []
    entries = answer[0][1] if isinstance(answer, list) else next(iter(answer.values()))[0]
    seconds, micros = server.time()  # pyright: ignore[reportGeneralTypeIssues]
    now = 1000 * seconds + micros // 1000
    return [_received(entry_id.decode(), values, now) for entry_id, values in entries]


def _received(entry_id: str, values: dict[bytes, bytes] | None, now: int) -> Received:
    """``now``: Redis' clock in milliseconds, which also made the id; the clocks of the senders and ours may jump."""
    text = (values or {}).get(FIELD, b"").decode("utf-8", errors="replace")
    return Received(text, "stream", entry_id, max(0, now - _as_numbers(entry_id)[0]) / 1000)


def _as_numbers(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
