"""The one Celery task: takes a message, trains the run that it names.

Torch is imported in the pool's child only, and before its first task: the parent never needs it.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.signals import worker_process_init
from redis import Redis

from engine import recipe_files
from engine.settings import Settings
from engine.spec import RunSpec
from tasks.artifacts import Remote
from tasks.attempt import Attempt
from tasks.checkpoints import Checkpoints
from tasks.connection import patient, quick
from tasks.queue import TRAIN, celery
from tasks.warm import warm

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint
    from engine.training import Training


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
    settings = Settings()
    checkpoints = Checkpoints(settings.artifacts.absolute(), run, attempt, seconds=settings.checkpoint_seconds)
    remote = partial(Remote, settings, run, attempt)
    return Attempt(redis, pulse, run, attempt, worker, begin, checkpoints, remote).carry_out(spec).value


def begin(spec: RunSpec, kept: Checkpoint | None) -> Training:
    """The training of a spec, from its beginning or from a checkpoint."""
    from engine.training import Training

    return Training(spec, resume=kept)
