"""Events that wait for Redis: in memory, bounded, and while it is away in a file too, should the worker die.

A file a run's attempt, ``BITFRONT_HOME/spool/<run>.<attempt>.jsonl``, one envelope a line, locked while its worker
lives and removed once all is written. What a dead worker left, the next to start here delivers; the store counts each
event once.
"""

from __future__ import annotations

import fcntl
import json
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO

from redis import Redis

from tasks import keys
from tasks.log import logger

CHUNK = 1000
"""Events a write."""


class Spool:
    """The lines of one attempt that Redis has not taken yet, oldest first. Not safe for several threads.

    ``path``: the file, None for none; ``limit``: bytes that are kept.
    """

    def __init__(self, path: Path | None = None, limit: float = 64e6) -> None:
        self.path, self.limit = path, limit
        self.left_out = 0
        """Lines that were over the limit."""
        self._lines: deque[str] = deque()
        self._bytes = 0
        self._unsecured = 0
        self._file: IO[str] | None = None
        self._in_trouble = False

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, line: str, *, must: bool = False) -> None:
        """Keep a line; over the limit only where it ``must`` be kept (a run's end, which heals what is missing)."""
        if self._bytes + len(line) > self.limit and not must:
            self.left_out += 1
            return
        self._lines.append(line)
        self._bytes += len(line)
        self._unsecured += 1

    def first(self, count: int = CHUNK) -> list[str]:
        """The oldest lines, which stay."""
        return list(islice(self._lines, count))

    def drop(self, count: int) -> None:
        """The oldest lines are written: they go, and with the last one the file."""
        for _ in range(count):
            self._bytes -= len(self._lines.popleft())
        self._unsecured = min(self._unsecured, len(self._lines))
        if not self._lines:
            self.close()

    def secure(self) -> None:
        """Have every line in the file. Where that cannot be written (the disk is full) memory alone holds them."""
        if self.path is None or not self._unsecured:
            return
        try:
            file = self._open()
            file.writelines(f"{line}\n" for line in islice(self._lines, len(self._lines) - self._unsecured, None))
            file.flush()
        except OSError as error:
            if not self._in_trouble:
                logger.warning("events wait in memory only", file=str(self.path), error=str(error))
            self._in_trouble = True
            self._forget_file()
        else:
            self._in_trouble = False
            self._unsecured = 0

    def close(self) -> None:
        """Remove the file."""
        if self._file is not None and self.path is not None:
            self.path.unlink(missing_ok=True)
            self._forget_file()

    def _open(self) -> IO[str]:
        if self._file is None:
            assert self.path is not None
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("w", encoding="utf-8")
            fcntl.flock(file, fcntl.LOCK_EX)
            self._file = file
            self._unsecured = len(self._lines)
        return self._file

    def _forget_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):  # what its buffer still holds does not fit
                self._file.close()
            self._file = None
            self._unsecured = len(self._lines)


def deliver_left(folder: Path, redis: Redis) -> int:
    """Write to the stream what dead workers have left in a folder of spools; gives how many events.

    Raises RedisError.
    """
    count = 0
    for path in sorted(folder.glob("*.jsonl")):
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                lines = _whole(file)
                while chunk := list(islice(lines, CHUNK)):
                    with redis.pipeline(transaction=True) as pipe:
                        for line in chunk:
                            pipe.xadd(keys.EVENTS, {"e": line})
                        pipe.execute()
                    count += len(chunk)
                path.unlink(missing_ok=True)
        except BlockingIOError:
            continue  # its worker lives
        except OSError as error:
            logger.warning("a spool cannot be delivered", file=str(path), error=str(error))
    if count:
        logger.info("delivered what a dead worker had kept", events=count)
    return count


def _whole(file: IO[str]) -> Iterator[str]:
    """The lines that were written to their end."""
    for line in file:
        with suppress(ValueError):
            json.loads(line)
            yield line.rstrip("\n")
