"""Where the events of a run in this process go: to the store if it answers, and to the outbox always.

The outbox file is written first and removed once the store has taken every event, so a run is on
disk whatever dies. What stays is ingested by the store's next start (which leaves a file alone while
its run holds the lock); numbers keep it exactly-once.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.errors import BitfrontError
from engine.events import Body, Envelope, RunQueued, new_run_id
from engine.settings import Settings
from engine.spec import RunSpec

FLUSH_SECONDS = 0.5
"""How often collected events are sent while a run is going."""


def outbox_file(settings: Settings, run: str) -> Path:
    """Where the events of a run wait for a store; it is gone once a store has them all."""
    return settings.outbox / f"{run}.jsonl"


class _Client(Protocol):
    def post_events(self, envelopes: list[Envelope]) -> int: ...


class Recorder:
    """Numbers one run's events and delivers them (attempt 1; the launch itself is attempt 0)."""

    def __init__(self, spec: RunSpec, settings: Settings, client: _Client | None, sweep: str | None = None) -> None:
        self.run = new_run_id()
        self.client = client
        self._pending: list[Envelope] = []
        self._seq = 0
        self._sent_at = time.monotonic()
        settings.outbox.mkdir(parents=True, exist_ok=True)
        self._path = outbox_file(settings, self.run)
        self._settings = settings
        self._file = self._path.open("a+")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        queued = RunQueued(spec=spec.model_dump(mode="json"), sweep=sweep, origin="local")
        self._put(Envelope(run=self.run, at=time.time(), body=queued))

    def record(self, body: Body) -> None:
        """Number an event, write it down, and send what has gathered twice a second."""
        self._seq += 1
        self._put(Envelope(run=self.run, attempt=1, seq=self._seq, at=time.time(), body=body))
        if time.monotonic() - self._sent_at > FLUSH_SECONDS:
            self._send()

    def close(self) -> None:
        """Send the rest, or all of it to a store that came up meanwhile; only then does the file go."""
        self._send()
        if self.client is None:
            self.client = find_store(self._settings)
            self._file.seek(0)
            self._pending = [Envelope.from_json(line) for line in self._file]
            self._send()
        if self.client is not None:
            self._path.unlink()
        self._file.close()

    def _put(self, envelope: Envelope) -> None:
        self._file.write(envelope.to_json() + "\n")
        self._file.flush()
        self._pending.append(envelope)

    def _send(self) -> None:
        self._sent_at = time.monotonic()
        if self.client is None or not self._pending:
            return
        try:
            self.client.post_events(self._pending)
        except BitfrontError:
            # The store went away: the outbox file holds the whole run, and its next start takes it.
            self.client = None
        self._pending = []


def deliver(run: str, body: Body, settings: Settings) -> None:
    """One word on a known run, from outside its attempts: to the store if it answers, else left in the outbox."""
    envelope = Envelope(run=run, at=time.time(), body=body)
    settings.outbox.mkdir(parents=True, exist_ok=True)
    # After "<run>.jsonl" in the order of names, in which the outbox is taken.
    path = settings.outbox / f"{run}_{body.type}.jsonl"
    path.write_text(envelope.to_json() + "\n")
    client = find_store(settings)
    if client is not None:
        with contextlib.suppress(BitfrontError):
            client.post_events([envelope])
            path.unlink()


def find_store(settings: Settings, refused: Callable[[str], None] = lambda why: None) -> _Client | None:
    """The store's client if a store answers, else None; ``refused`` is told why one that answers takes nothing."""
    from store.client import StoreError, StoreUnavailable, connect

    try:
        return connect(settings)
    except StoreUnavailable:
        return None
    except StoreError as error:
        refused(str(error))
        return None
