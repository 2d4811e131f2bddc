"""The one Celery task: takes a message, trains the run that it names.

Torch is imported in the pool's child only, and before its first task: the parent never needs it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from celery import Task
from celery.signals import worker_process_init
from redis import Redis

import engine
from engine import recipe_files
from engine.settings import Settings
from tasks.attempt import Attempt
from tasks.connection import patient, quick
from tasks.queue import TRAIN, celery
from tasks.warm import warm


@cache
def _clients() -> tuple[Redis, Redis]:
    settings = Settings()
    return patient(settings), quick(settings)


@worker_process_init.connect
def _prepare(**_: Any) -> None:
    """Import and compile before the first run arrives, which would wait for it."""
    warm(Settings())
    _clients()


@celery.task(name=TRAIN, bind=True)
def train(self: Task, run: str, attempt: int, spec: str) -> str:
    """Train one attempt of a run; gives how it ended, in a word, for the log."""
    recipe_files.forbid()  # the spec comes from the queue
    redis, pulse = _clients()
    worker = str(self.request.hostname)
    return Attempt(redis, pulse, run, attempt, worker, engine.train).carry_out(spec).value
