"""The files of an attempt where the worker and the store are on two machines: they go to the store and come from it.

A worker always writes its files into its own folder of artifacts first. Where that is the store's too (one machine,
or a shared disk) nothing is sent. A model that could not be sent at its run's end is noted in the spool and sent later,
by any worker that lives on this machine.
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import BitfrontError, InputError
from engine.settings import Settings
from tasks.log import logger

if TYPE_CHECKING:
    from store.client import StoreClient

AGAIN_SECONDS = 10.0
"""How often a worker tries to send what was left."""


class Remote:
    """The store's folder for one attempt of a run. ``lease``: what the worker wrote into the run's lease.

    Where there is no store, or where the worker shares its folder, every method does nothing. All raise BitfrontError:
    StoreUnavailable where the store does not answer, InputError where a newer attempt has the run.
    """

    def __init__(self, settings: Settings, run: str, attempt: int, lease: str) -> None:
        self.settings, self.run, self.attempt, self.lease = settings, run, attempt, lease
        self._shared: bool | None = None

    def put(self, path: Path) -> bool:
        """Send a file of this attempt; whether it was sent."""
        with self._store() as store:
            if store is None:
                return False
            try:
                store.put_artifact(self.run, self.attempt, path, self.lease)
            except OSError as error:
                raise BitfrontError(f"{path} cannot be read: {error.strerror}") from None
            return True

    def files(self) -> list[dict[str, Any]]:
        """{attempt, name, bytes} of each file that the store has of the run, newest attempt first."""
        with self._store() as store:
            return [] if store is None else store.artifacts(self.run)

    def fetch(self, attempt: int, name: str, target: Path) -> None:
        """Get a file that an attempt has left; ``target`` appears whole or not at all."""
        with self._store() as store:
            if store is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                store.get_artifact(self.run, attempt, name, target)

    def clear_checkpoints(self) -> None:
        """The run has ended: nothing goes on from this attempt's checkpoint, or an earlier one's."""
        with self._store() as store:
            if store is not None:
                store.clear_checkpoints(self.run, self.attempt, self.lease)

    @contextmanager
    def _store(self) -> Iterator[StoreClient | None]:
        """The store's client, or None where nothing has to be sent."""
        settings = self.settings
        if self._shared or not (settings.store_url or settings.read_endpoints().get("store")):
            yield None
            return
        from store.client import connect

        with connect(settings) as store:
            if self._shared is None:
                self._shared = store.place() == self._own_place()
            yield None if self._shared else store

    def _own_place(self) -> str | None:
        try:
            return (self.settings.artifacts / ".place").read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            return None


HELD_SECONDS = 120.0
"""So long after a note was written its attempt may hold the run's lease: a refusal is not for good yet."""


def note_unsent(settings: Settings, run: str, attempt: int, files: Sequence[Path]) -> None:
    """Remember that the store has yet to get these files of an attempt, which stay where they are. Raises OSError."""
    settings.spool.mkdir(parents=True, exist_ok=True)
    names = "\n".join(path.name for path in files)
    note = settings.spool / f"{run}.{attempt}.unsent"
    part = note.with_suffix(".part")
    part.write_text(f"{names}\n", encoding="utf-8")
    part.replace(note)  # whole, or not there: others look while it is written


def send_left(settings: Settings) -> int:
    """Send the files that were noted; gives of how many attempts the store has them now.

    What the store refuses for good (the run was deleted, say) stays on this machine, and is tried no more. Raises
    BitfrontError where the store does not answer, or takes nothing from this worker.
    """
    count = 0
    for note in sorted(settings.spool.glob("*.unsent")):
        run, _, attempt = note.stem.rpartition(".")
        if not attempt.isdecimal():
            continue  # no note of ours
        with suppress(BlockingIOError, FileNotFoundError), note.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # another worker of this machine may be at it
            folder = settings.artifacts / run / attempt
            files = [path for name in file.read().split() if (path := folder / name).is_file()]
            log = logger.bind(run=run, attempt=int(attempt))
            remote = Remote(settings, run, int(attempt), "")
            try:
                if files and send(remote, files):
                    count += 1
                    log.info("the store has the model now")
            except InputError as error:
                if time.time() - note.stat().st_mtime < HELD_SECONDS:
                    continue
                log.warning("the model stays on this machine", reason=str(error))
            note.unlink(missing_ok=True)
    return count


def send(remote: Remote, files: Sequence[Path]) -> bool:
    """Have all the files with the store; whether they were sent, and are here no more. Raises BitfrontError."""
    if not all(remote.put(file) for file in files):
        return False
    for file in files:
        file.unlink()
    return True


class Sender(threading.Thread):
    """Sends what was left, as long as its worker lives: beside it, for a model may take minutes."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(name="sender", daemon=True)
        self.settings = settings
        self._over = threading.Event()

    def run(self) -> None:
        said = ""
        while True:
            try:
                send_left(self.settings)
                said = ""
            except (BitfrontError, OSError) as error:
                if str(error) != said:
                    logger.warning("models wait on this machine", reason=str(error))
                said = str(error)
            if self._over.wait(AGAIN_SECONDS):
                return

    def end(self) -> None:
        self._over.set()
