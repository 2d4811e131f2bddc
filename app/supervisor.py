"""Everything on this machine with one command: starts the services, keeps them alive, ends them all.

The queue comes first, the others side by side; a child that dies is started again with back-off. The
supervisor holds a lock on the home, which the system takes back however the supervisor ends, and its
children are told by the system when it is killed; what is slow to die, the next one ends.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import psutil

from app.serve import check
from app.services.child import Child, Service
from app.services.home import Home
from app.services.plan import Plan, Worker, make_plan, redis_answers
from app.services.ports import DASHBOARD, HOST, dashboard_port
from engine.errors import BitfrontError
from engine.settings import Settings

TICK, WATCH = 0.05, 0.2
"""Seconds between two looks, while something starts or ends, and while all is well."""
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Supervisor:
    """Runs one Bitfront on one home until ``stop`` is set (by Ctrl-C, SIGTERM or SIGHUP)."""

    def __init__(
        self,
        settings: Settings,
        workers: Iterable[Worker],
        *,
        port: int | None = None,
        data: Path | None = None,
        dashboard: bool = True,
        host: str = HOST,
        out: TextIO | None = None,
    ) -> None:
        self.settings, self.workers, self.asked_port = settings, tuple(workers), port
        self.data, self.with_dashboard, self.host = data, dashboard, host
        self.out = out or sys.stdout
        self.home = Home(settings)
        self.children: list[Child] = []
        self.stop = threading.Event()
        self.signals = 0
        self._failing: set[str] = set()

    def run(self) -> None:
        """Start, wait until all answer, say so, keep them alive, end them. Raises BitfrontError."""
        check(self.settings, self.host)
        self.home.prepare()
        self.home.lock()
        wanted = [number for number in STOP_SIGNALS if number != signal.SIGHUP or not _survives_hangup()]
        before = {number: signal.signal(number, self._on_signal) for number in wanted}
        try:
            self.home.remove_endpoints()
            self.home.end_leftovers()
            plan = self._plan()
            try:
                self._start(plan)
                self._keep()
            finally:
                self._end()
        finally:
            self.home.remove_endpoints()
            self.home.unlock()
            for number, handler in before.items():
                signal.signal(number, handler)

    def _plan(self) -> Plan:
        if self.settings.redis_url and (why := redis_answers(self.settings.redis_url)):
            raise BitfrontError(f"the Redis that REDIS_URL names does not answer: {why}")
        port = dashboard_port(self.asked_port)
        if self.asked_port is None and port != DASHBOARD and self.with_dashboard:
            self._say(f"port {DASHBOARD} is taken, so the dashboard takes {port}")
        return make_plan(self.home, self.workers, port, self.data, dashboard=self.with_dashboard, host=self.host)

    def _start(self, plan: Plan) -> None:
        began = time.monotonic()
        self._say(f"starting Bitfront in {self.home.path} …")
        if plan.queue is not None:
            self._add(plan.queue)
            self._until_ready()
        self._add(plan.store, plan.dispatcher, *plan.workers, *([plan.dashboard] if plan.dashboard else []))
        self._until_ready()
        if self.stop.is_set():
            return
        self.home.write_endpoints(
            store=plan.store_url, redis=plan.redis_url, dashboard=plan.dashboard_url, pid=str(os.getpid())
        )
        count = len(plan.workers)
        self._say(
            f"Bitfront runs at {plan.dashboard_url} "
            f"({count} worker{'' if count == 1 else 's'}, {time.monotonic() - began:.1f} s); Ctrl-C ends it"
        )

    def _keep(self) -> None:
        while not self.stop.wait(WATCH):
            self._tend()

    def _add(self, *services: Service) -> None:
        self.children += [Child(service, self.home.logs) for service in services]
        self._tend()

    def _until_ready(self) -> None:
        while not self.stop.is_set() and not all(child.ready for child in self.children):
            self._tend()
            for child in self.children:
                if child.failing and not child.was_ready:
                    raise BitfrontError(
                        f"the {child.service.name} does not start: {child.last_words()} (see {child.log})"
                    )
            self.stop.wait(TICK)

    def _tend(self) -> None:
        changed = False
        for child in self.children:
            before = child.process
            news = child.tend()
            changed = changed or child.process is not before
            name = child.service.name
            if news and news != "answers" and child.was_ready:
                self._say(f"{name} {news}: it is started again", sys.stderr)
            if child.failing and child.was_ready and name not in self._failing:
                self._say(f"{name} keeps failing and is tried again and again: see {child.log}", sys.stderr)
                self._failing.add(name)
            elif not child.failing:
                self._failing.discard(name)
        if changed:
            self.home.record(self.children)

    def _end(self) -> None:
        """First those that use the others, last the queue: so that nothing is said into the void."""
        groups = [
            [child for child in self.children if child.service.name not in ("queue", "store")],
            [child for child in self.children if child.service.name == "store"],
            [child for child in self.children if child.service.name == "queue"],
        ]
        if any(groups):
            self._say("ending …")
        asked = self.signals
        for group in groups:
            for child in group:
                child.ask_to_end()
            for child in group:
                deadline = time.monotonic() + child.service.grace
                while (
                    child.process is not None
                    and child.process.poll() is None
                    and time.monotonic() < deadline
                    and self.signals <= max(asked, 1)  # a second Ctrl-C: at once
                ):
                    time.sleep(TICK)
                child.kill()
        self.home.forget()

    def _on_signal(self, *_: Any) -> None:
        self.signals += 1
        self.stop.set()

    def _say(self, sentence: str, stream: TextIO | None = None) -> None:
        with suppress(OSError):  # the terminal may be gone; then there is nobody to tell
            print(sentence, file=stream or self.out, flush=True)


def _survives_hangup() -> bool:
    """Whether we were started to outlive the terminal (`nohup bitfront up`)."""
    return signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def bring_down(settings: Settings, *, patience: float = 40.0) -> str:
    """End the Bitfront that runs on this home; says in words what was done. Raises BitfrontError."""
    home = Home(settings)
    pid = home.holder()
    if pid is None:
        return f"Bitfront is not running on {home.path}"
    try:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    except PermissionError:
        raise BitfrontError(f"Bitfront on {home.path} belongs to another user (process {pid})") from None
    deadline = time.monotonic() + patience
    while home.holder() is not None and time.monotonic() < deadline:
        time.sleep(TICK)
    if home.holder() is not None:
        psutil.Process(pid).kill()
        home.end_leftovers()
        home.remove_endpoints()
    return f"Bitfront on {home.path} has ended"
