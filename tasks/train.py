"""The one Celery task: takes a message, trains the run that it names.

Torch is imported in the pool's child only, and before its first task: the parent never needs it.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from celery import Task
from celery.signals import worker_process_init
from redis import Redis
from redis.exceptions import RedisError

from engine import recipe_files
from engine.settings import Settings
from engine.spec import RunSpec
from tasks import keys
from tasks.artifacts import Remote
from tasks.attempt import Attempt, Stepped
from tasks.checkpoints import Checkpoints
from tasks.connection import hasty, patient
from tasks.limits import Limits
from tasks.queue import TRAIN, celery
from tasks.spool import Spool, deliver_left
from tasks.starting import provide_start
from tasks.warm import warm

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint
    from engine.training import Training


@cache
def _clients() -> tuple[Redis, Redis]:
    settings = Settings()
    return patient(settings), hasty(settings)


@worker_process_init.connect
def _prepare(**_: Any) -> None:
    """Import and compile before the first run arrives, which would wait for it."""
    warm(Settings())
    _clients()


@celery.task(name=TRAIN, bind=True)
def train(self: Task, run: str, attempt: int, spec: str) -> str:
    """Train one attempt of a run; gives how it ended, in a word, for the log."""
    recipe_files.forbid()  # the spec comes from the queue
    keys.check_run(run)
    redis, pulse = _clients()
    worker = str(self.request.hostname)
    settings = Settings()
    with suppress(RedisError):  # the claim says it better
        deliver_left(settings.spool, pulse)  # perhaps how this very run ended
    checkpoints = Checkpoints(settings.artifacts.absolute(), run, attempt, seconds=settings.checkpoint_seconds)
    remote = partial(Remote, settings, run, attempt)
    spool = Spool(settings.spool / f"{run}.{attempt}.jsonl", settings.spool_mb * 1e6)
    carried = Attempt(
        redis, pulse, run, attempt, worker, begin, checkpoints, remote, limits=Limits.of(settings), spool=spool
    )
    return carried.carry_out(spec).value


def begin(spec: RunSpec, kept: Checkpoint | None, stepped: Stepped) -> Training:
    """The training of a spec, from its beginning or from a checkpoint."""
    from engine.training import Training

    provide_start(Settings(), spec)
    return Training(spec, resume=kept, stepped=stepped)
