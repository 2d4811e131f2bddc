"""Which runs need a message now: compares the store's unfinished runs with leases and queues.

A run that nobody holds gets a message as soon as a worker of its class has room, in the order of
priority. So a new run, a lost message, a killed worker and an emptied Redis are all the same case.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from celery import Celery
from redis import Redis
from redis.exceptions import ResponseError

from engine.events import Envelope, RunCancelled, RunFailed
from tasks import keys
from tasks.budgets import Budgets
from tasks.log import logger
from tasks.measurements import Measurements
from tasks.messages import Messages, Room

SILENCE_SECONDS = 8
"""A running run without a lease is left alone until it was silent for so long: more than a live worker
takes to renew a lease that an emptied Redis forgot."""
AWAY_SECONDS = 4
"""A dispatcher that could not look for so long (Redis was away, or itself was suspended) gives the workers time to take
their leases again before it takes one for dead."""
CHUNK = 64
NEARLY_FULL = 0.8
"""Share of the machine's memory above which a run that was killed has probably run out of it."""
TIMES = {1: "once", 2: "twice", 3: "three times"}

Position = tuple[int, int]
"""A stream entry's id, as numbers that compare."""

_HOLD = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return 1
"""


@dataclass(frozen=True)
class Marks:
    """What Redis knows of a run."""

    held: bool
    """A worker has it, or a message is under way."""
    claimed: int
    """Newest attempt that a worker claimed, 0 if none."""
    given_back: int
    """How many attempts were handed back by workers that were being stopped."""
    given_back_attempt: int
    """The newest of these."""


class Dispatcher:
    """Looks at the store, the leases and the queues; publishes what is missing.

    ``query``: the store's named queries (``query("dispatchable") -> pyarrow.Table``, with parameters by name);
    ``position``: id of the last stream entry that the store has applied; ``attempts``: a run whose worker was lost so
    often has failed, for it would take every worker down.
    """

    def __init__(
        self,
        redis: Redis,
        celery: Celery,
        query: Callable[..., pa.Table],
        position: Callable[[], str],
        *,
        attempts: int = 3,
    ) -> None:
        self.redis, self.query, self.position, self.attempts = redis, query, position, attempts
        self.messages = Messages(redis, celery)
        self.measurements = Measurements(redis, self.messages, query)
        self.budgets = Budgets(redis, query)
        self.token = secrets.token_hex(8)
        self._hold = redis.register_script(_HOLD)
        self._suspects: dict[str, Position] = {}
        self._held = -float(AWAY_SECONDS)
        self._patient_until = 0.0

    def hold(self) -> bool:
        """Take or keep the lock; False while another dispatcher has it."""
        holds = bool(self._hold(keys=[keys.DISPATCHER], args=[self.token, keys.DISPATCHER_SECONDS]))
        now = time.monotonic()
        if now - self._held >= AWAY_SECONDS:
            self._patient_until = now + SILENCE_SECONDS
        self._held = now
        return holds

    def let_go(self) -> None:
        """Give the lock to whoever stands by."""
        if self.redis.get(keys.DISPATCHER) == self.token:
            self.redis.delete(keys.DISPATCHER)

    def cycle(self) -> int:
        """Look once and publish what has room; gives the number of messages published."""
        self.budgets.serve()
        applied = read_position(self.position()) if self._suspects else (0, 0)
        table = self.query("dispatchable")
        is_queued = pc.field("state") == "queued"
        before, self._suspects = self._suspects, {}
        room = self.messages.room()
        # First the runs whose worker is gone: they waited in the queue once already.
        count = self._serve(table.filter(~is_queued).to_pylist(), room, before, applied)
        for rows in _chunks(table.filter(is_queued)):
            count += self._serve(rows, room, before, applied)
            if not room.is_left(rows[-1]["priority"]):
                break
        return count + self.measurements.serve(room)

    def _serve(
        self,
        rows: list[dict[str, Any]],
        room: Room,
        before: dict[str, Position],
        applied: Position,
    ) -> int:
        """Publish the rows that are free and have room, end those that shall end; gives how many were published."""
        wanted = [row for row in rows if row["state"] != "queued" or room.place(row["device"], row["priority"])]
        count = 0
        for row, marks in zip(wanted, self._marks([row["run"] for row in wanted]), strict=True):
            if marks.held or self._may_still_live(row, marks, before, applied):
                continue
            newest = max(row["attempt"] or 0, marks.claimed)
            if row["state"] == "cancelling":
                self._cancel(row["run"])
            elif newest - marks.given_back >= self.attempts:
                self._give_up(row["run"], newest - marks.given_back)
            elif (device_class := room.place(row["device"], row["priority"])) and self.messages.send(
                row["run"], newest + 1, row["spec"], row["priority"], device_class
            ):
                room.take(device_class, row["priority"])
                count += 1
        return count

    def _marks(self, runs: list[str]) -> list[Marks]:
        if not runs:
            return []
        with self.redis.pipeline(transaction=True) as pipe:
            pipe.mget([keys.lease(run) for run in runs])
            pipe.mget([keys.sent(run) for run in runs])
            pipe.mget([keys.claimed(run) for run in runs])
            for run in runs:
                pipe.hmget(keys.given_back(run), "count", "attempt")
            leases, sent, claimed, *given_back = pipe.execute()
        return [
            Marks(bool(lease or mark), int(newest or 0), int(back[0] or 0), int(back[1] or 0))
            for lease, mark, newest, back in zip(leases, sent, claimed, given_back, strict=True)
        ]

    def _may_still_live(
        self, row: dict[str, Any], marks: Marks, before: dict[str, Position], applied: Position
    ) -> bool:
        """Whether a run that some worker had, and nobody holds, is still to be left alone.

        It is, until it was silent for some seconds (unless its worker handed it back) and the store has
        applied all that was said before the lease was first seen missing: a run that has just ended, or
        whose lease an emptied Redis forgot, is never started again.
        """
        run = row["run"]
        if row["state"] == "queued" and marks.claimed == 0:
            return False
        newest = max(row["attempt"] or 0, marks.claimed)
        # By the store's clock alone: those of the workers and ours may jump.
        silent = row["silent_seconds"] is None or row["silent_seconds"] >= SILENCE_SECONDS
        silent = silent and time.monotonic() >= self._patient_until
        if row["state"] == "running" and not silent and marks.given_back_attempt < newest:
            return True
        self._suspects[run] = before.get(run) or self.last_entry()
        return run not in before or before[run] > applied

    def _cancel(self, run: str) -> None:
        self._say(run, RunCancelled())
        logger.info("cancelled: its worker is gone", run=run)

    def _give_up(self, run: str, attempts: int) -> None:
        reason = explain_loss(attempts, self.redis.hgetall(keys.used(run)))  # pyright: ignore[reportArgumentType]
        self._say(run, RunFailed(reason=reason))
        logger.error("given up", run=run, attempts=attempts, reason=reason)

    def _say(self, run: str, body: RunFailed | RunCancelled) -> None:
        """A verdict from outside the attempt: attempt 0, seq 0; not said again until the store had time for it."""
        self.redis.set(keys.cancel(run), 1, ex=keys.MEMORY_SECONDS)  # should its worker live after all, it stops
        if self.redis.set(keys.sent(run), "verdict", ex=keys.SENT_SECONDS, nx=True):
            self.redis.xadd(keys.EVENTS, {"e": Envelope(run=run, at=time.time(), body=body).to_json()})

    def last_entry(self) -> Position:
        """The newest entry that the stream ever had, (0, 0) if none."""
        try:
            return read_position(str(self.redis.xinfo_stream(keys.EVENTS)["last-generated-id"]))
        except ResponseError:  # there is no stream: Redis was emptied
            return (0, 0)


def explain_loss(attempts: int, used: dict[str, str]) -> str:
    """Why a run fails whose worker died in every attempt: how, and how full the memory was when it was last seen.

    ``used``: keys.used. "killed three times (SIGKILL); memory 23.1 of 24.0 GB, on worker-1@host: …"
    """
    text = f"killed {TIMES.get(attempts, f'{attempts} times')}"
    if end := used.get("end"):
        text += f" ({end})"
    advice = "look into the workers' logs for the cause"
    if "memory" in used:
        memory, total = int(used["memory"]), int(used["total"])
        text += f"; memory {memory / 1e9:.1f} of {total / 1e9:.1f} GB, on {used['worker']}"
        if memory > NEARLY_FULL * total:
            advice = "it needs more memory than there is: train on batches, or take a smaller model"
    return f"{text}: {advice}"


def read_position(text: str) -> Position:
    """The numbers in a stream entry's id, ``millis-count``."""
    millis, _, count = text.partition("-")
    return int(millis or 0), int(count or 0)


def _chunks(table: pa.Table) -> Iterator[list[dict[str, Any]]]:
    for start in range(0, table.num_rows, CHUNK):
        yield table.slice(start, CHUNK).to_pylist()
