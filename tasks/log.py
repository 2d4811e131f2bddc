"""One readable line an event on standard output: time, level, what happened, with what values."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any, TextIO

import structlog


class Unfailing:
    """A stream that forgets what it cannot write: a full disk must not end a run for a line in a log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


structlog.configure(
    processors=[
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=False, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback, sort_keys=False
        ),
    ],
    logger_factory=structlog.PrintLoggerFactory(Unfailing(sys.stdout)),  # pyright: ignore[reportArgumentType]
    cache_logger_on_first_use=True,
)

logger: Any = structlog.get_logger()
