"""Which code trained a run: a digest of the sources that its numbers depend on, whatever the distribution is called.

A run is its spec under one code version: the same spec under the same code gives the same numbers, so that a sweep does
not train it twice. Needs no torch.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

BESIDE = ("axes.py", "bench", "exclusions.py", "measure", "search", "sweep.py", "sweep_report.py")
"""Parts of the engine that no run's numbers depend on: they measure runs, or say which ones there are."""


@cache
def code_version() -> str:
    """Of the engine's sources (Python and tables), 16 hex digits."""
    root, found = Path(__file__).parent, hashlib.sha256()
    for path in sorted([*root.rglob("*.py"), *root.rglob("*.toml")]):
        place = path.relative_to(root)
        if place.parts[0] not in BESIDE:
            found.update(place.as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()[:16]
