"""The Celery messages under way: which queue has room, which class a run goes to, one message a run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, get_args

from celery import Celery
from kombu.exceptions import OperationalError
from redis import Redis

from tasks import keys
from tasks.log import logger
from tasks.queue import MEASURE, TRAIN, read_task_id, task_id

CLASSES: tuple[keys.DeviceClass, ...] = get_args(keys.DeviceClass)
MESSAGES_A_WORKER = 2
"""How many messages wait for each live worker: enough that none idles, few enough to cancel and reorder."""
PRIORITIES = range(10)


@dataclass
class Room:
    """How many messages each class still takes, as the waiting ones are counted.

    Only messages of the same or a higher priority count, so that an urgent run never waits for room.
    """

    workers: dict[keys.DeviceClass, int]
    """Live workers of each class."""
    waiting: dict[keys.DeviceClass, list[int]]
    """Waiting messages of each class, by priority."""

    def left(self, device_class: keys.DeviceClass, priority: int) -> int:
        return max(0, MESSAGES_A_WORKER * self.workers[device_class] - sum(self.waiting[device_class][: priority + 1]))

    def is_left(self, priority: int) -> bool:
        """Whether any class has room for a run of this priority."""
        return any(self.left(device_class, priority) for device_class in CLASSES)

    def place(self, device: str, priority: int) -> keys.DeviceClass | None:
        """Where a run that asks for ``device`` goes now; None: it has to wait.

        "cuda" waits for a worker with a GPU; "auto" prefers one with room; "cpu" goes to a GPU's worker
        only where there is no other.
        """
        if device == "cuda":
            order: tuple[keys.DeviceClass, ...] = ("cuda",)
        elif device == "auto":
            order = ("cuda", "cpu")
        else:
            order = ("cpu",) if self.workers["cpu"] else ("cuda",)
        return next((device_class for device_class in order if self.left(device_class, priority)), None)

    def take(self, device_class: keys.DeviceClass, priority: int) -> None:
        self.waiting[device_class][priority] += 1


class Messages:
    """What the dispatcher sees of the queues, and the one place that publishes to them."""

    def __init__(self, redis: Redis, celery: Celery) -> None:
        self.redis, self.celery = redis, celery

    def room(self) -> Room:
        """Count the live workers and the waiting messages, whose marks are kept alive."""
        seconds, _ = self.redis.time()
        with self.redis.pipeline(transaction=False) as pipe:
            for device_class in CLASSES:
                pipe.zremrangebyscore(keys.workers(device_class), "-inf", seconds - keys.WORKER_SECONDS)
                pipe.zcard(keys.workers(device_class))
                for priority in PRIORITIES:
                    pipe.lrange(keys.waiting(device_class, priority), 0, -1)
            answers = iter(pipe.execute())
        room = Room({}, {})
        waiting: list[str] = []
        for device_class in CLASSES:
            next(answers)
            room.workers[device_class] = next(answers)
            lists = [next(answers) for _ in PRIORITIES]
            room.waiting[device_class] = [len(messages) for messages in lists]
            waiting += [json.loads(message)["headers"]["id"] for messages in lists for message in messages]
        if waiting:
            with self.redis.pipeline(transaction=False) as pipe:
                for run, attempt in map(read_task_id, waiting):
                    pipe.set(keys.sent(run), attempt, ex=keys.SENT_SECONDS)
                pipe.execute()
        return room

    def send(self, run: str, attempt: int, spec: str, priority: int, device_class: keys.DeviceClass) -> bool:
        """Publish one message, marked so that it is not published twice; False if one is under way."""
        return self._send(TRAIN, run, attempt, {"attempt": attempt, "spec": spec}, priority, device_class)

    def send_measurement(self, run: str, priority: int, device_class: keys.DeviceClass) -> bool:
        """The same for a finished run that shall be measured: a message of attempt 0."""
        return self._send(MEASURE, run, 0, {}, priority, device_class)

    def _send(
        self, task: str, run: str, attempt: int, more: dict[str, Any], priority: int, device_class: keys.DeviceClass
    ) -> bool:
        if not self.redis.set(keys.sent(run), attempt, ex=keys.SENT_SECONDS, nx=True):
            return False
        try:
            self.celery.send_task(
                task,
                kwargs={"run": run} | more,
                task_id=task_id(run, attempt),
                queue=keys.queue(device_class),
                priority=priority,
                retry=True,
                retry_policy={"max_retries": 3, "interval_start": 0, "interval_step": 0.2, "interval_max": 1},
            )
        except OperationalError as error:
            self.redis.delete(keys.sent(run))
            logger.warning("a message could not be published", run=run, error=str(error))
            return False
        logger.info("sent", task=task, run=run, attempt=attempt, priority=priority, to=device_class)
        return True
