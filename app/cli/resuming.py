"""Runs that a person leaves and takes up again: `bitfront run --resume`.

A run is known by its spec. Its checkpoint is kept while it goes on, its summary once it has ended, below
``BITFRONT_HOME/resume``; the same command later skips what has ended and goes on with the rest, bit for bit.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from engine.events import Summary
from engine.settings import Settings
from engine.spec import RunSpec

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint
    from engine.training import Training

SECONDS = 20
"""How often a checkpoint is written while a run goes on; after an interrupt as well."""


class Kept:
    """What is kept of one run."""

    def __init__(self, spec: RunSpec, settings: Settings) -> None:
        self._folder: Path = settings.home / "resume" / spec.hash
        self._saved_at = time.monotonic()

    def result(self) -> tuple[str, Summary] | None:
        """The run's id and summary if it has ended."""
        try:
            found = json.loads((self._folder / "result.json").read_text())
        except FileNotFoundError:
            return None
        return found["run"], Summary.model_validate(found["summary"])

    def checkpoint(self) -> Checkpoint | None:
        """Where the run was left. Raises RunError where the file cannot be read."""
        from engine.checkpoint import Checkpoint

        path = self._folder / "checkpoint.pt"
        return Checkpoint.load(path) if path.exists() else None

    def save(self, training: Training, *, now: bool = False) -> None:
        """Keep a checkpoint, if the last one is old enough or ``now``."""
        if not training.rows or not (now or time.monotonic() - self._saved_at > SECONDS):
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        training.checkpoint().save(self._folder / "checkpoint.pt")
        self._saved_at = time.monotonic()

    def finish(self, run: str, summary: Summary) -> None:
        """The run has ended: its summary takes the checkpoint's place."""
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / "result.part"
        part.write_text(json.dumps({"run": run, "summary": summary.model_dump(mode="json")}))
        part.replace(self._folder / "result.json")
        (self._folder / "checkpoint.pt").unlink(missing_ok=True)
