"""The files of an attempt where the worker and the store are on two machines: they go to the store and come from it.

A worker always writes its files into its own folder of artifacts first. Where that is the store's too (one machine,
or a shared disk) nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import BitfrontError
from engine.settings import Settings

if TYPE_CHECKING:
    from store.client import StoreClient


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
