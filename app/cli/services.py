"""`bitfront up` and `bitfront down`: everything on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine.errors import InputError
from engine.settings import Settings

MOST_WORKERS = 4
"""Workers that are started unless asked otherwise: one a core, at most so many."""


def up(
    *,
    workers: int | None = None,
    port: int | None = None,
    host: str = "127.0.0.1",
    data: Path | None = None,
    dashboard: Annotated[bool, Parameter(show=False)] = True,
) -> None:
    """Start everything on this machine and print the dashboard's address; Ctrl-C ends all.

    Parameters
    ----------
    workers
        How many runs train at the same time. Default: one a GPU, else one a core and at most 4.
    port
        The dashboard's port. Default: 8501, or the next free one; 0: any free one.
    host
        Address that the dashboard listens on. Default: this machine only; others need BITFRONT_AUTH (SECURITY.md).
    data
        Folder of the datasets in PyG's layout. Default: BITFRONT_DATA, else `data` in the home.
    """
    from app.services.home import HomeTaken
    from app.services.plan import Worker
    from app.supervisor import Supervisor
    from tasks.devices import cores, gpus

    settings = Settings()
    if workers is None and settings.auth == "readonly":
        workers = 0  # nothing is launched from a showcase
    if workers is not None and not 0 <= workers <= 256:
        raise InputError(f"workers = {workers} is not allowed: it is a number from 0 to 256")
    found = [gpu.index for gpu in gpus()]
    if found:
        count = len(found) if workers is None else workers
        plan = [Worker(found[number % len(found)]) for number in range(count)]
    else:
        plan = [Worker()] * (min(cores(), MOST_WORKERS) if workers is None else workers)
    try:
        Supervisor(settings, plan, port=port, data=data, dashboard=dashboard, host=host).run()
    except HomeTaken as taken:
        print(taken)


def down() -> None:
    """End what `bitfront up` started on this home."""
    from app.supervisor import bring_down

    print(bring_down(Settings()))
