"""One service as a child process: started, watched, restarted with back-off, ended with all its descendants."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import psutil

LONGEST_LOG = 20_000_000
"""A log longer than so many bytes is put aside (as ``.1``) when its service starts."""
MOST_FAILURES = 4
"""Deaths in a row without a good while between them, after which a service counts as failing."""
GOOD_WHILE = 20.0
"""Seconds after which a service that answers is taken to be well."""
START_SECONDS = 120.0
"""A service that does not answer after so long is ended and started again."""
BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before a restart, by the number of deaths in a row."""

Answers = Callable[["Child"], bool]


@dataclass(frozen=True)
class Service:
    """What to run, and how to see that it answers."""

    name: str
    command: Sequence[str]
    answers: Answers
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    """Working directory; None: ours."""
    grace: float = 8.0
    """Seconds between the polite request to end and the end."""


def says_ready(child: Child) -> bool:
    """Whether the service printed its line ``{"ready": true, …}`` since it was started."""
    return child.printed_ready()


class Child:
    """The process of a service, over its restarts. Not thread-safe: tended by one loop."""

    def __init__(self, service: Service, logs: Path) -> None:
        self.service = service
        self.log = logs / f"{service.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.created = 0.0
        """Start time of the process as the system counts it: with the pid, its identity."""
        self.ready = False
        self.failures = 0
        self.was_ready = False
        """It answered at least once since we began."""
        self._began = 0.0
        self._not_before = 0.0
        self._log_start = 0

    @property
    def failing(self) -> bool:
        return self.failures >= MOST_FAILURES

    def tend(self) -> str | None:
        """Do what is due: start, see that it answers, notice its death. Gives a change in words, else None."""
        now = time.monotonic()
        if self.process is None:
            if now >= self._not_before:
                self._start()
            return None
        code = self.process.poll()
        if code is not None:
            return self._died(code)
        if not self.ready:
            if self.service.answers(self):
                self.ready = self.was_ready = True
                self._began = now
                return "answers"
            if now - self._began > START_SECONDS:
                self.kill()
                self._died(None)
                return f"did not answer within {START_SECONDS:.0f} s"
        elif self.failures and now - self._began > GOOD_WHILE:
            self.failures = 0
        return None

    def ask_to_end(self) -> None:
        """SIGTERM; the service may take its grace."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for the end until ``deadline`` (monotonic), then end it and all its descendants by force."""
        if self.process is None:
            return
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, deadline - time.monotonic()))
        self.kill()

    def kill(self) -> None:
        """End the process and everything in its session at once."""
        if self.process is None:
            return
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process, self.ready = None, False

    def printed_ready(self) -> bool:
        """Whether the log has the line that says ready, since the last start."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._log_start)
                lines = log.read().splitlines()
        except OSError:
            return False
        return any(line.startswith(b'{"ready"') and _is_ready(line) for line in lines)

    def last_words(self) -> str:
        """The last line that the service wrote since its last start."""
        try:
            with self.log.open("rb") as log:
                log.seek(self._log_start)
                lines = log.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _start(self) -> None:
        self.ready = False
        log = self._open_log()
        try:
            self._log_start = log.tell()
            self.process = subprocess.Popen(
                self.service.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self.service.environment},
                cwd=self.service.folder,
                start_new_session=True,  # Ctrl-C in the terminal reaches us alone, and we end them in order
                preexec_fn=die_with_parent(os.getpid()),
            )
        finally:
            log.close()
        self._began = time.monotonic()
        with suppress(psutil.Error):
            self.created = psutil.Process(self.process.pid).create_time()

    def _open_log(self) -> IO[bytes]:
        with suppress(OSError):
            if self.log.stat().st_size > LONGEST_LOG:
                self.log.replace(self.log.with_suffix(".log.1"))
        log = self.log.open("ab")
        log.write(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} {self.service.name} starts\n".encode())
        log.flush()
        return log

    def _died(self, code: int | None) -> str:
        if self.process is not None:
            self.kill()  # what it left behind in its session
        if self.ready and time.monotonic() - self._began > GOOD_WHILE:
            self.failures = 0
        self.failures += 1
        self.ready = False
        self._not_before = time.monotonic() + BACK_OFF[min(self.failures, len(BACK_OFF)) - 1]
        return "ended" if code is None else _in_words(code)


def _is_ready(line: bytes) -> bool:
    try:
        return json.loads(line).get("ready") is True
    except ValueError:
        return False


def _in_words(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with status {code}"


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """For the child, before it runs: ask Linux for a SIGTERM when we die, however that comes about."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def set_signal() -> None:
        prctl(1, int(signal.SIGTERM), 0, 0, 0)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)

    return set_signal
