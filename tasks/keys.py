"""The names of everything that Bitfront keeps in Redis, and how long it stays there."""

from __future__ import annotations

import re
from typing import Literal

from engine.errors import InputError

DeviceClass = Literal["cpu", "cuda"]

EVENTS = "bitfront:events"
"""Stream of run events; one field ``e`` an entry: ``Envelope.to_json()``."""
MEASURE = "bitfront:measure"
"""Sorted set of the runs that somebody asked to measure, by how many workers have begun to; gone once it is done."""
DISPATCHER = "bitfront:dispatcher"
"""Lock of the one dispatcher."""

LEASE_SECONDS = 15
"""A run whose worker has not been heard for so long is given to another."""
SENT_SECONDS = 30
"""How long a Celery message that nobody claimed, and that is in no queue, is waited for."""
MEMORY_SECONDS = 7 * 24 * 3600
"""How long cancel requests and claimed attempt numbers are kept."""
WORKER_SECONDS = 12
"""A worker not heard for so long is counted as gone."""
DISPATCHER_SECONDS = 5
"""Another dispatcher takes over when the lock was not renewed for so long."""


_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


def check_run(run: str) -> None:
    """Raises InputError for what is no run id: it names keys here, and folders."""
    if not isinstance(run, str) or not _RUN_ID.fullmatch(run):
        raise InputError(f"the run id {run!r} is not allowed: 1 to 64 letters, digits, - and _")


def lease(run: str) -> str:
    """Who trains the run now: ``attempt:worker:token``, for LEASE_SECONDS."""
    return f"lease:{run}"


def claimed(run: str) -> str:
    """Newest attempt number that a worker claimed."""
    return f"claimed:{run}"


def cancel(run: str) -> str:
    """Present when a person asked to cancel the run."""
    return f"cancel:{run}"


def sent(run: str) -> str:
    """Attempt number of the Celery message that is under way, for SENT_SECONDS."""
    return f"sent:{run}"


def given_back(run: str) -> str:
    """Hash ``{count, attempt}``: attempts that a stopping worker handed back, which count as none."""
    return f"given_back:{run}"


def used(run: str) -> str:
    """Hash ``{memory, total, worker, end}``: what the newest attempt took at most of its machine's memory, bytes, on
    which worker, and how its process ended, if it was killed."""
    return f"used:{run}"


def measure_failed(run: str) -> str:
    """Why the run could not be measured, since it was last asked for."""
    return f"measure_failed:{run}"


def stop(worker: str) -> str:
    """Present while the worker is being stopped: its task hands its run back."""
    return f"stop:{worker}"


def workers(device_class: DeviceClass) -> str:
    """Sorted set of the workers of a class, by the server's time when each was last heard."""
    return f"bitfront:workers:{device_class}"


def queue(device_class: DeviceClass) -> str:
    """Celery's queue of a class; its messages lie in a list a priority (``waiting``)."""
    return f"bitfront.{device_class}"


def waiting(device_class: DeviceClass, priority: int) -> str:
    """The list in which kombu keeps the messages of a class and a priority."""
    return f"{queue(device_class)}:{priority}" if priority else queue(device_class)
