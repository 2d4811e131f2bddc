"""Where the events of a run in this process go: to the store if it answers, and to the outbox always.

The outbox file is written first and removed once the store has taken every event, so a run is on
disk whatever dies. What stays is ingested by the store's next start (which leaves a file alone while
its run holds the lock); numbers keep it exactly-once. While an epoch takes long, a second thread sends what has
gathered, and that the run lives.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from engine.errors import BitfrontError
from engine.events import Body, Envelope, RunQueued, WorkerHeartbeat, new_run_id
from engine.settings import Settings
from engine.spec import RunSpec

FLUSH_SECONDS = 0.5
"""How often collected events are sent while a run is going."""
BEAT_SECONDS = 5.0
"""How often a run says that it lives, whatever its epochs take: after 15 seconds without a word it is silent."""


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
        self._is_away = False
        """A store that took events does not answer now."""
        self._pending: list[Envelope] = []
        self._seq = 0
        self._sent_at = time.monotonic()
        settings.outbox.mkdir(parents=True, exist_ok=True)
        self._path = outbox_file(settings, self.run)
        self._settings = settings
        self._file = self._path.open("a+")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._lock, self._sending = threading.Lock(), threading.Lock()
        """Held by the one thread that writes, and by the one that sends."""
        self._over = threading.Event()
        queued = RunQueued(spec=spec.model_dump(mode="json"), sweep=sweep, origin="local")
        self._put(Envelope(run=self.run, at=time.time(), body=queued))
        self._beating = threading.Thread(target=self._beat, name=f"beat-{self.run}", daemon=True)
        self._beating.start()

    def record(self, body: Body) -> None:
        """Number an event, write it down, and send what has gathered twice a second, unless the beat is at it."""
        with self._lock:
            self._seq += 1
            self._put(Envelope(run=self.run, attempt=1, seq=self._seq, at=time.time(), body=body))
        if time.monotonic() - self._sent_at > FLUSH_SECONDS and self._sending.acquire(blocking=False):
            try:
                self._send()
            finally:
                self._sending.release()

    def close(self) -> None:
        """Send the rest, or all of it to a store that came up meanwhile; only then does the file go."""
        self._over.set()
        self._beating.join()
        self._send()
        if self.client is None:
            self._send_all()
        if self.client is not None:
            self._path.unlink()
        self._file.close()

    def _put(self, envelope: Envelope) -> None:
        self._file.write(envelope.to_json() + "\n")
        self._file.flush()
        self._pending.append(envelope)

    def _send(self, *more: Envelope) -> None:
        """What has gathered, and ``more``, which is not kept."""
        from store.client import StoreUnavailable

        self._sent_at = time.monotonic()
        with self._lock:  # a store that is slow to answer keeps nobody from recording
            sent, self._pending = [*self._pending, *more], []
        if self.client is None or not sent:
            return
        try:
            self.client.post_events(sent)
            self._is_away = False
        except BitfrontError as error:
            # The outbox file holds the whole run: a store that comes back, or starts later, takes it from there.
            self.client, self._is_away = None, isinstance(error, StoreUnavailable)

    def _send_all(self, *more: Envelope) -> None:
        """Everything from the beginning, where a store answers: numbers keep what it has from counting twice."""
        self.client = find_store(self._settings)
        if self.client is not None:
            with self._lock:
                self._file.seek(0)
                self._pending = [Envelope.from_json(line) for line in self._file]
            self._send(*more)

    def _beat(self) -> None:
        """Say that the run lives, with what has gathered; a store that was away is looked for."""
        while not self._over.wait(BEAT_SECONDS):
            life = WorkerHeartbeat(
                worker="",
                host=socket.gethostname(),
                pid=os.getpid(),
                device_class="cpu",
                device="",
                current_run=self.run,
                current_attempt=1,
                state="busy",
            )
            envelope = Envelope(run="", at=time.time(), body=life)
            # Whatever is wrong with the store's address is said where the run begins and ends.
            with self._sending, contextlib.suppress(BitfrontError):
                if self._is_away:
                    self._send_all(envelope)
                else:
                    self._send(envelope)


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
