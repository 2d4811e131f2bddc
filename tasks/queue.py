"""The Celery app: transport of what to train (run, attempt, spec), or to measure (run), to a worker; nothing more.

No results, no retries, no remote control: the store keeps results, the dispatcher alone repeats.
The settings were measured; each that is not Celery's default says why.
"""

from __future__ import annotations

from celery import Celery
from kombu.entity import Queue

from engine.settings import Settings
from tasks import keys
from tasks.connection import QueueUnavailable, address, celery_address

TRAIN = "bitfront.train"
"""Name of the training task; its id is ``run:attempt``."""
MEASURE = "bitfront.measure"
"""Name of the measuring task; its id is ``run:0``."""


def make_celery(settings: Settings) -> Celery:
    """The app for the Redis of these settings (none yet is allowed: it fails when used)."""
    try:
        broker = celery_address(address(settings))
    except QueueUnavailable:
        broker = None
    app = Celery("bitfront", broker=broker, include=["tasks.train", "tasks.measure"])
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        task_queues=[Queue(keys.queue("cpu")), Queue(keys.queue("cuda"))],
        task_default_queue=keys.queue("cpu"),
        task_create_missing_queues=False,
        # Early acknowledgement loses a run with its worker; a message that comes twice meets the lease.
        task_acks_late=True,
        task_reject_on_worker_lost=False,
        broker_transport_options={
            "visibility_timeout": 24 * 3600,
            "priority_steps": list(range(10)),
            "sep": ":",
            "queue_order_strategy": "priority",
            "socket_keepalive": True,
        },
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        # A parent that forks after using torch hangs, and CUDA cannot be used after a fork.
        worker_pool="prefork",
        worker_pool_start_method="spawn",
        worker_concurrency=1,
        worker_prefetch_multiplier=1,
        # A fresh child imports torch and may compile kernels, which takes longer than the default of 4 s.
        worker_proc_alive_timeout=600,
        worker_max_tasks_per_child=1000,
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_redirect_stdouts=False,
    )
    return app


def task_id(run: str, attempt: int) -> str:
    return f"{run}:{attempt}"


def read_task_id(text: str) -> tuple[str, int]:
    """The run and the attempt of a message's id."""
    run, _, attempt = text.rpartition(":")
    return run, int(attempt)


celery = make_celery(Settings())
