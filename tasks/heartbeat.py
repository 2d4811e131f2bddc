"""A worker's sign of life: every few seconds, and at once when it takes or ends a run.

Sent by the worker's parent process, so that neither a long epoch nor a busy interpreter delays it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable

import psutil
from redis import Redis
from redis.exceptions import RedisError

from engine.events import Envelope, WorkerHeartbeat
from tasks import keys

BEAT_SECONDS = 5.0
LOOK_SECONDS = 0.1
"""How often a change of state is looked for."""

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

    def run(self) -> None:
        said: tuple[object, ...] = ()
        due = 0.0
        while not self._over.wait(LOOK_SECONDS):
            now = (self.current(), self.stopping.is_set())
            if now != said or time.monotonic() >= due:
                try:
                    self.beat()
                except RedisError:
                    continue  # the next look tries again
                said, due = now, time.monotonic() + BEAT_SECONDS

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
        with self.redis.pipeline(transaction=True) as pipe:
            pipe.xadd(keys.EVENTS, {"e": envelope.to_json()})
            if stopping:
                pipe.set(keys.stop(self.worker), 1, ex=keys.WORKER_SECONDS)
                pipe.zrem(keys.workers(self.device_class), self.worker)
            else:
                pipe.zadd(keys.workers(self.device_class), {self.worker: seconds})
            pipe.execute()

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
