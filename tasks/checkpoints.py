"""How far the attempts of a run came: a checkpoint each, from which the next attempt goes on.

They lie in ``BITFRONT_HOME/artifacts/<run>/<attempt>/``, and where the store is on another machine in its folder too.
An attempt writes into its own folder only, and removes nothing of a newer one's, so that a worker
that was suspended and wakes cannot overwrite what a newer attempt has kept. A run that finished keeps none; one that
was cancelled or ran into a limit keeps its last, from which a person may have it go on.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import BitfrontError, RunError
from tasks.log import logger

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint
    from engine.training import Training
    from tasks.artifacts import Remote

FILE = "checkpoint.pt"
SHARE = 10
"""Writing one may take a tenth of the time: the next waits until so many times what the last one took has passed."""


class Checkpoints:
    """Those of one run, as one attempt sees them. ``seconds``: how often one is written while the run goes on."""

    def __init__(
        self, artifacts: Path, run: str, attempt: int, *, seconds: float, remote: Remote | None = None
    ) -> None:
        self.folder = artifacts / run
        self.attempt, self.seconds, self.remote = attempt, seconds, remote
        self._written = time.monotonic()
        self._took = 0.0
        self._log = logger.bind(run=run, attempt=attempt)

    def newest(self) -> Checkpoint | None:
        """What the latest earlier attempt has left; one that cannot be read is passed over, and said so."""
        if self.attempt == 1:
            return None
        from engine.checkpoint import Checkpoint

        elsewhere = self._elsewhere()
        for attempt in range(self.attempt - 1, 0, -1):
            path = self.folder / str(attempt) / FILE
            if attempt in elsewhere:
                self._fetch(attempt, path)
            if not path.exists():
                continue
            try:
                return Checkpoint.load(path)
            except RunError as error:
                self._log.warning("a checkpoint is passed over", reason=str(error))
        return None

    def keep(self, training: Training, *, now: bool = False) -> None:
        """Write one where the last is old enough, or ``now``; between two steps only. A full disk costs only it."""
        began = time.monotonic()
        if not now and began - self._written < max(self.seconds, SHARE * self._took):
            return
        path = self.folder / str(self.attempt) / FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            training.checkpoint().save(path)
            if self.remote is not None:
                self.remote.put(path)
        except (OSError, BitfrontError) as error:
            self._log.warning("the checkpoint could not be written", reason=str(error))
        self._written = time.monotonic()
        self._took = self._written - began

    def clear(self) -> None:
        """Nothing goes on from this attempt, or from one before it. The model that it may have left stays."""
        for folder in self.folder.glob("*/"):
            if not folder.name.isdecimal() or int(folder.name) > self.attempt:
                continue
            for path in folder.glob(f"{FILE}*"):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # a model lies in it
                folder.rmdir()
        with suppress(OSError):  # a model lies in one of its folders
            self.folder.rmdir()
        try:
            if self.remote is not None:
                self.remote.clear_checkpoints()
        except BitfrontError as error:
            self._log.warning("the store's checkpoints could not be removed", reason=str(error))

    def _elsewhere(self) -> set[int]:
        """The attempts of which the store, on another machine, has a checkpoint."""
        try:
            found = self.remote.files() if self.remote is not None else []
        except BitfrontError as error:
            self._log.warning("the store's checkpoints are not known", reason=str(error))
            return set()
        return {file["attempt"] for file in found if file["name"] == FILE}

    def _fetch(self, attempt: int, path: Path) -> None:
        """Get an attempt's checkpoint from the store: what lies here may be older."""
        assert self.remote is not None
        try:
            self.remote.fetch(attempt, FILE, path)
        except (OSError, BitfrontError) as error:
            self._log.warning("a checkpoint cannot be fetched", of=attempt, reason=str(error))
