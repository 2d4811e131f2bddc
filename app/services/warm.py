"""The kernels' compiled code: made once per home and version of the kernels, not once per worker."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from app.services.home import Home

MODULE = "engine.kernels.warm"


@dataclass(frozen=True)
class Warming:
    """The command that compiles the kernels, and the mark that says that it was done."""

    line: list[str]
    environment: dict[str, str]
    mark: Path

    def done(self) -> None:
        self.mark.parent.mkdir(parents=True, exist_ok=True)
        for old in self.mark.parent.glob("warm-*"):
            old.unlink(missing_ok=True)
        self.mark.touch()


def warm_command(home: Home, environment: Mapping[str, str]) -> Warming | None:
    """What is to be run before the workers start; None where it was done for these kernels."""
    found = importlib.util.find_spec(MODULE)
    if found is None or found.origin is None:
        return None
    digest = hashlib.sha256(metadata.version("numba").encode())
    for source in sorted(Path(found.origin).parent.rglob("*.py")):
        digest.update(str(source.stat().st_mtime_ns).encode())
        digest.update(source.read_bytes())
    mark = Path(environment["NUMBA_CACHE_DIR"]) / f"warm-{digest.hexdigest()[:16]}"
    if mark.exists():
        return None
    return Warming([sys.executable, "-m", MODULE], {**os.environ, **environment}, mark)
