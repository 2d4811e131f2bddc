"""What a worker's child does before its first run: imports torch, compiles the kernels or loads them.

Compiling takes some seconds once a home. Workers that start together take turns: the first
compiles into the home, the others load what it left.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import IO

import engine
from engine.datasets.progress import reporting
from engine.settings import Settings
from engine.spec import RunSpec
from tasks.log import logger

SCHEMES = ("int8", "msfp13")
"""One of each family of kernels."""
EPOCHS = 7
"""Enough that one of them is not looked into (engine.diagnostics): those run compiled (engine.compiled)."""
TURN_SECONDS = 180.0
"""A worker that has waited so long for its turn compiles for itself."""


def compiled(settings: Settings) -> Path:
    """Where compiled kernels are kept (site-packages may be read-only)."""
    return settings.home.expanduser().absolute() / "numba"


def warm(settings: Settings) -> None:
    """Train a few epochs a scheme on the smallest graph, and measure this machine's roofline where nobody has.

    What goes wrong is logged: a run will say it better.
    """
    from engine.roofline_machine import machine_table

    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or compiled(settings))
    try:
        # Imports most of what there is, and compiles little: side by side with the others.
        _train("fp32", settings.model_copy(update={"compiled": False}))
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            _take_turn(lock)
            with reporting(lambda what, *_: logger.info(what)):
                _compile(settings)
            machine_table(settings)
    except Exception:
        logger.exception("this worker could not be warmed up")


def _compile(settings: Settings) -> None:
    for scheme in SCHEMES:
        _train(scheme, settings, EPOCHS)


def _train(scheme: str, settings: Settings, epochs: int = 1) -> None:
    spec = {"dataset": "karate", "model": "gcn", "scheme": scheme, "training": {"epochs": epochs}}
    for _ in engine.train(RunSpec.parse(spec), settings):
        pass


def _take_turn(lock: IO[str]) -> None:
    deadline = time.monotonic() + TURN_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.1)
        else:
            return
