"""What a worker's child does before its first run: imports torch, compiles the kernels or loads them.

Compiling takes a quarter of a minute once a home. Workers that start together take turns: the first
compiles into the home, the others load what it left.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import engine
from engine.settings import Settings
from engine.spec import RunSpec
from tasks.log import logger

SCHEMES = ("fp32", "int8", "msfp13")
"""One of each family of kernels."""


def compiled(settings: Settings) -> Path:
    """Where compiled kernels are kept (site-packages may be read-only)."""
    return settings.home.expanduser().absolute() / "numba"


def warm(settings: Settings) -> None:
    """Train one epoch a scheme on the smallest graph. What goes wrong is logged: a run will say it better."""
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or compiled(settings))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for scheme in SCHEMES:
                spec = {"dataset": "karate", "model": "gcn", "scheme": scheme, "training": {"epochs": 1}}
                for _ in engine.train(RunSpec.parse(spec)):
                    pass
    except Exception:
        logger.exception("this worker could not be warmed up")
