"""Kills, or tells to end, random parts of a running `bitfront up`, from a seed, and keeps a table of whom and when."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
from redis.exceptions import RedisError

from engine.errors import BitfrontError
from store.client import StoreClient, connect
from tasks import keys
from tasks.connection import quick
from tests.system.up import Up, processes_of
from tests.tasks.stack import wait_for

AT_WORK = ("worker", "child")
"""Victims that are hit while they train."""


@dataclass
class Kill:
    """One victim."""

    seconds: float
    """Since the beginning."""
    victim: str
    run: str = ""
    attempt: int = 0
    epoch: int = 0
    of: int = 0


@dataclass
class Chaos:
    """``number``: the signal; ``victims``: how many of each kind."""

    up: Up
    seed: int
    number: signal.Signals
    victims: dict[str, int]
    pause: tuple[float, float]
    kills: list[Kill] = field(default_factory=list)

    def carry_out(self, launch: Callable[[int, int], None]) -> None:
        """Hit them all in a random order; ``launch`` is told before each, by its number and how many there are."""
        chosen = random.Random(self.seed)
        order = [victim for victim, count in self.victims.items() for _ in range(count)]
        chosen.shuffle(order)
        began = time.monotonic()
        for number, victim in enumerate(order):
            launch(number, len(order))
            time.sleep(chosen.uniform(*self.pause))  # the moments are part of what the seed says
            self.kills.append(self._hit(victim, chosen, began))

    def _hit(self, victim: str, chosen: random.Random, began: float) -> Kill:
        kill = Kill(0.0, victim)
        if victim in AT_WORK:
            row, worker = wait_for(lambda: self._somebody_at_work(chosen), "a worker trains", 300, every=0.4)
            kill.run, kill.attempt, kill.epoch, kill.of = row["run"], row["attempt"], row["epoch"], row["total_epochs"]
            hit = worker if victim == "worker" else _child(worker)
        else:
            hit = wait_for(lambda: self._service(victim), f"the {victim} runs", every=0.1)
        kill.seconds = time.monotonic() - began
        with suppress(psutil.NoSuchProcess):
            hit.send_signal(self.number)
        return kill

    def _service(self, name: str) -> psutil.Process | None:
        """The process of a service, as the supervisor has noted it."""
        noted = json.loads((self.up.home / "run" / "processes.json").read_text())
        for service, pid, _ in noted:
            with suppress(psutil.Error):
                if service == name and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                    return psutil.Process(pid)
        return None

    def _somebody_at_work(self, chosen: random.Random) -> tuple[dict[str, Any], psutil.Process] | None:
        """A run in its middle, and the process of its worker; each attempt is hit once (its lease outlives it)."""
        hit = {(kill.run, kill.attempt) for kill in self.kills}
        rows = [
            row
            for row in self._rows(states="running")
            if (row["run"], row["attempt"]) not in hit and 0.05 < row["epoch"] / row["total_epochs"] < 0.7
        ]
        chosen.shuffle(rows)
        for row in rows:
            for process in processes_of(self.up.home):
                with suppress(psutil.Error):
                    if row["worker"] in process.cmdline() and self._holds(row) and _child(process).is_running():
                        return row, process
        return None

    def _holds(self, row: dict[str, Any]) -> bool:
        """Whether the run's attempt is going on at this moment: the store may not have heard of its end yet."""
        with suppress(BitfrontError, RedisError), quick(self.up.settings) as redis:
            return str(redis.get(keys.lease(row["run"]))).startswith(f"{row['attempt']}:")
        return False

    def _rows(self, **parameters: Any) -> list[dict[str, Any]]:
        try:
            with connect(self.up.settings) as client:
                return client.query("runs", **parameters).to_pylist()
        except BitfrontError:
            return []  # the store was hit

    def hits(self, client: StoreClient) -> list[Kill]:
        """The kills that ended an attempt in its middle, one an attempt: another one had to follow it."""
        found: list[Kill] = []
        seen: set[tuple[str, int]] = set()
        for kill in self.kills:
            if kill.run:
                [row] = client.query("run", run=kill.run).to_pylist()
                states = {each["attempt"]: each["state"] for each in json.loads(row["attempts_detail"])}
                if states[kill.attempt] == "lost" and (kill.run, kill.attempt) not in seen:
                    found.append(kill)
                    seen.add((kill.run, kill.attempt))
        return found

    def table(self) -> str:
        """One line a victim."""
        lines = [f"seed {self.seed}, {self.number.name}", "     s  victim      run             attempt    epoch"]
        for kill in self.kills:
            where = f"{kill.run}  {kill.attempt:7}  {kill.epoch:>4} of {kill.of}" if kill.run else ""
            lines.append(f"{kill.seconds:6.1f}  {kill.victim:10}  {where}".rstrip())
        return "\n".join(lines)


def _child(worker: psutil.Process) -> psutil.Process:
    """The process of a worker that trains."""
    for child in worker.children():
        with suppress(psutil.Error):  # a dead one has no command line
            if "--billiard-fork" in child.cmdline():
                return child
    raise psutil.NoSuchProcess(worker.pid)
