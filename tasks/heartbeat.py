"""A worker's sign of life: every few seconds, and at once when it takes or ends a run.

Sent by the worker's parent process, so that neither a long epoch nor a busy interpreter delays it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psutil
from redis import Redis
from redis.exceptions import RedisError

from engine.events import Envelope, WorkerHeartbeat
from tasks import keys
from tasks.limits import machine_memory

BEAT_SECONDS = 5.0
LOOK_SECONDS = 0.1
"""How often a change of state is looked for."""
WEIGH_SECONDS = 0.5
"""How often the memory of a run in training is looked at: what it had when it was killed is to be known."""

Current = Callable[[], tuple[str, int] | None]


class Heart(threading.Thread):
    """Beats until ``stop``. ``current`` gives the run and attempt that the worker trains now, if any."""

    def __init__(
        self, redis: Redis, worker: str, device_class: keys.DeviceClass, device: str, current: Current
    ) -> None:
        super().__init__(name="heart", daemon=True)
        self.redis, self.worker, self.device, self.current = redis, worker, device, current
        self.device_class: keys.DeviceClass = device_class
        self.stopping = threading.Event()
        """Set when the worker shall end: the run in training is handed back."""
        self._over = threading.Event()
        self._process = psutil.Process()
        self._weighed = 0.0
        self._peaks: dict[str, dict[str, str | int]] = {}
        """What each run took at most since its last beat, and how its process ended (keys.used)."""

    def run(self) -> None:
        said: tuple[object, ...] = ()
        due = 0.0
        while not self._over.wait(LOOK_SECONDS):
            self._weigh()
            current = self.current()
            now = (current, self.stopping.is_set(), current is None and bool(self._peaks))
            if now != said or time.monotonic() >= due:
                try:
                    self.beat()
                except RedisError:
                    if self.stopping.is_set():
                        self._tell_children()
                    continue  # the next look tries again
                said, due = now, time.monotonic() + BEAT_SECONDS

    def mourn(self, run: str, end: str) -> None:
        """The process that trained a run was killed; ``end``: how, in words."""
        self._peaks[run] = self._peaks.get(run, {}) | {"end": end}

    def _weigh(self) -> None:
        """Look what the run in training takes of the memory; its peak is said with the next beat."""
        current = self.current()
        if current is None or time.monotonic() - self._weighed < WEIGH_SECONDS:
            return
        self._weighed = time.monotonic()
        memory, peak = self._memory(), self._peaks.setdefault(current[0], {})
        if memory > int(peak.get("memory", 0)):
            peak |= {"memory": memory, "total": machine_memory(), "worker": self.worker}

    def _tell_children(self) -> None:
        """That the worker is stopping, where Redis cannot."""
        for child in self._process.children():
            with suppress(psutil.Error):
                child.terminate()

    def beat(self) -> None:
        """Say it once: to the stream (for people) and to the set of live workers (for the dispatcher)."""
        current, stopping = self.current(), self.stopping.is_set()
        run, attempt = current or (None, None)
        body = WorkerHeartbeat(
            worker=self.worker,
            host=socket.gethostname(),
            pid=os.getpid(),
            device_class=self.device_class,
            device=self.device,
            current_run=run,
            current_attempt=attempt,
            load=os.getloadavg()[0],
            memory=self._memory(),
            state="stopping" if stopping else "busy" if run else "idle",
        )
        envelope = Envelope(run="", at=time.time(), body=body)
        seconds, _ = self.redis.time()
        peaks = {run: peak for run, peak in tuple(self._peaks.items()) if peak}
        with self.redis.pipeline(transaction=True) as pipe:
            for run, peak in peaks.items():
                pipe.hset(keys.used(run), mapping=peak)  # pyright: ignore[reportArgumentType]
                pipe.expire(keys.used(run), keys.MEMORY_SECONDS)
            pipe.xadd(keys.EVENTS, {"e": envelope.to_json()})
            if stopping:
                pipe.set(keys.stop(self.worker), 1, ex=keys.WORKER_SECONDS)
                pipe.zrem(keys.workers(self.device_class), self.worker)
            else:
                pipe.zadd(keys.workers(self.device_class), {self.worker: seconds})
            pipe.execute()
        for run in peaks:
            if current is None or run != current[0]:
                self._peaks.pop(run, None)

    def begin(self) -> None:
        """Forget that a worker of this name was stopped, then beat."""
        self.redis.delete(keys.stop(self.worker))
        self.start()

    def end(self) -> None:
        """Beat no more; the last sign says that the worker is stopping."""
        self.stopping.set()
        self._over.set()
        self.join(timeout=5)
        try:
            self.beat()
            self.redis.delete(keys.stop(self.worker))
        except RedisError:
            pass

    def _memory(self) -> int:
        total = 0
        for process in [self._process, *self._process.children(recursive=True)]:
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total
