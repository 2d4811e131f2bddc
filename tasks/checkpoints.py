"""How far the attempts of a run came: a checkpoint each, from which the next attempt goes on.

They lie in ``BITFRONT_HOME/artifacts/<run>/<attempt>/``. An attempt writes into its own folder only, so that a worker
that was suspended and wakes cannot overwrite what a newer attempt has kept. A run that has ended keeps none.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import RunError
from tasks.log import logger

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint
    from engine.training import Training

FILE = "checkpoint.pt"


class Checkpoints:
    """Those of one run, as one attempt sees them. ``seconds``: how often one is written while the run goes on."""

    def __init__(self, artifacts: Path, run: str, attempt: int, *, seconds: float) -> None:
        self.folder = artifacts / run
        self.attempt, self.seconds = attempt, seconds
        self._written = time.monotonic()
        self._log = logger.bind(run=run, attempt=attempt)

    def newest(self) -> Checkpoint | None:
        """What the latest earlier attempt has left; one that cannot be read is passed over, and said so."""
        from engine.checkpoint import Checkpoint

        for attempt in range(self.attempt - 1, 0, -1):
            path = self.folder / str(attempt) / FILE
            if not path.exists():
                continue
            try:
                return Checkpoint.load(path)
            except RunError as error:
                self._log.warning("a checkpoint is passed over", reason=str(error))
        return None

    def keep(self, training: Training, *, now: bool = False) -> None:
        """Write one where the last is old enough, or ``now``; between two epochs only. A full disk costs only it."""
        if not training.rows or not (now or time.monotonic() - self._written >= self.seconds):
            return
        path = self.folder / str(self.attempt) / FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            training.checkpoint().save(path)
        except OSError as error:
            self._log.warning("the checkpoint could not be written", reason=str(error))
        self._written = time.monotonic()

    def clear(self) -> None:
        """The run has ended: nothing goes on from here. The model that it may have left stays."""
        for path in self.folder.glob(f"*/{FILE}*"):
            path.unlink(missing_ok=True)
        for folder in self.folder.glob("*/"):
            with suppress(OSError):  # a model lies in it
                folder.rmdir()
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()
