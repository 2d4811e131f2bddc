"""The home of one running Bitfront: its lock, the addresses it tells, and what a dead one left behind."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable
from contextlib import suppress
from typing import IO, Any

import psutil

from app.services.child import Child
from engine.errors import BitfrontError
from engine.settings import Settings, write_secret


class HomeTaken(BitfrontError):  # noqa: N818 - a state of the home
    """Another supervisor runs on this home."""


class Home:
    """The folders ``run/`` and ``logs/`` of a home. Raises BitfrontError where they cannot be written."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.path = settings.home.expanduser().absolute()
        self.run = self.path / "run"
        self.logs = self.path / "logs"
        self._lock: IO[str] | None = None

    def prepare(self) -> None:
        """Make the folders and see that they can be written."""
        try:
            for folder in (self.path, self.run, self.logs):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.run / f"probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise BitfrontError(
                f"the home {self.path} cannot be written ({error.strerror}): "
                "set BITFRONT_HOME to a folder that you may write to"
            ) from None

    def lock(self) -> None:
        """Hold the home until we end, however that comes about. Raises HomeTaken."""
        lock = self._open_lock()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise HomeTaken(self._taken()) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def holder(self) -> int | None:
        """Pid of the supervisor that runs on this home; None: none does."""
        if not (self.run / "lock").exists():
            return None
        with self._open_lock() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.seek(0)
                return int(lock.read() or 0)
        return None

    def write_endpoints(self, **found: Any) -> None:
        """Tell the addresses to whoever looks: {"store", "redis", "dashboard", "pid"}, whole or not at all."""
        write_secret(self.settings.endpoints, json.dumps(found))  # Redis' address may hold its password

    def remove_endpoints(self) -> None:
        self.settings.endpoints.unlink(missing_ok=True)

    def record(self, children: Iterable[Child]) -> None:
        """Note which processes are ours, for the next supervisor should we be killed."""
        noted = [[child.service.name, child.process.pid, child.created] for child in children if child.process]
        write_secret(self.run / "processes.json", json.dumps(noted))

    def forget(self) -> None:
        """All our processes have ended."""
        (self.run / "processes.json").unlink(missing_ok=True)

    def end_leftovers(self, grace: float = 5.0) -> int:
        """End what a killed supervisor left running (its children are told by the system, and may be slow)."""
        try:
            noted = json.loads((self.run / "processes.json").read_text())
        except (OSError, ValueError):
            return 0
        found: list[psutil.Process] = []
        for _, pid, created in noted:
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                if abs(process.create_time() - created) < 0.1:
                    found += [process, *process.children(recursive=True)]
        end(found, grace)
        self.forget()
        return len(found)

    def _open_lock(self) -> IO[str]:
        try:
            return (self.run / "lock").open("a+")
        except OSError as error:
            raise BitfrontError(f"the lock {self.run / 'lock'} cannot be opened ({error.strerror})") from None

    def _taken(self) -> str:
        address = self.settings.read_endpoints().get("dashboard")
        if address:
            return f"Bitfront is already running at {address} (`bitfront down` ends it)"
        return f"Bitfront is already starting on {self.path}: process {self.holder()}"


def end(processes: list[psutil.Process], grace: float) -> None:
    """Ask processes to end, wait, then end them by force."""
    for process in processes:
        with suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=grace)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=grace)
