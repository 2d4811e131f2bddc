"""The per-epoch rows of the runs on screen, read on from where they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.run_table import ENDED

Read = Callable[[Sequence[str], int], pa.Table]
"""(run ids, after) → the store's ``epochs`` rows of these runs with a later epoch."""


@dataclass(frozen=True)
class _Held:
    attempt: int
    ended: bool
    rows: pa.Table

    @property
    def last(self) -> int:
        return self.rows["epoch"][-1].as_py() if self.rows.num_rows else 0


class EpochBuffer:
    """Keeps what was read, so that a live page asks only for new epochs.

    A run is read whole again when a newer attempt replaced it, and once more when it ended (the store
    may have healed a gap then).
    """

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def update(self, runs: Sequence[Mapping[str, Any]], read: Read) -> dict[str, pa.Table]:
        """Bring the rows of these ``runs`` (run, attempt, state) up to date; run → its epochs in order."""
        states = {row["run"]: (row["attempt"] or 0, row["state"] in ENDED) for row in runs}
        self._held = {run: held for run, held in self._held.items() if states.get(run, (-1,))[0] == held.attempt}
        whole = [run for run, (_, ended) in states.items() if run not in self._held or ended > self._held[run].ended]
        growing = [run for run, (_, ended) in states.items() if run not in whole and not ended]
        if whole:
            rows = read(whole, 0)
            for run in whole:
                self._held[run] = _Held(*states[run], rows.filter(pc.field("run") == run))
        if growing:
            rows = read(growing, min(self._held[run].last for run in growing))
            for run in growing:
                held = self._held[run]
                new = rows.filter((pc.field("run") == run) & (pc.field("epoch") > held.last))
                self._held[run] = _Held(*states[run], pa.concat_tables([held.rows, new]))
        return {run: self._held[run].rows for run in states if self._held[run].rows.num_rows}
