"""The per-epoch rows of the runs on screen, read on from where they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from app.run_table import ENDED

Read = Callable[[Sequence[str], int], pd.DataFrame]
"""(run ids, after) → the store's ``epochs`` rows of these runs with a later epoch."""


@dataclass(frozen=True)
class _Held:
    attempt: int
    ended: bool
    rows: pd.DataFrame

    @property
    def last(self) -> int:
        return int(self.rows["epoch"].max()) if len(self.rows) else 0


class EpochBuffer:
    """Keeps what was read, so that a live page asks only for new epochs.

    A run is read whole again when a newer attempt replaced it, and once more when it ended (the store
    may have healed a gap then).
    """

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def update(self, runs: pd.DataFrame, read: Read) -> pd.DataFrame:
        """Bring the rows of these ``runs`` (run, attempt, state) up to date and give them all."""
        state = {
            row.run: (int(row.attempt) if pd.notna(row.attempt) else 0, row.state in ENDED)
            for row in runs.itertuples(index=False)
        }
        self._held = {run: held for run, held in self._held.items() if state.get(run, (0, 0))[0] == held.attempt}
        fresh = [run for run, (_, ended) in state.items() if run not in self._held or ended > self._held[run].ended]
        growing = [run for run, (_, ended) in state.items() if run not in fresh and not ended]
        if fresh:
            self._take(read(fresh, 0), fresh, state, whole=True)
        if growing:
            self._take(read(growing, min(self._held[run].last for run in growing)), growing, state, whole=False)
        kept = [self._held[run].rows for run in state if len(self._held[run].rows)]
        return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame(columns=["run", "epoch"])

    def _take(
        self, rows: pd.DataFrame, runs: Sequence[str], state: dict[str, tuple[int, bool]], *, whole: bool
    ) -> None:
        by_run = dict(iter(rows.groupby("run", sort=False)))
        for run in runs:
            new = by_run.get(run, rows.iloc[:0])
            if not whole:
                held = self._held[run]
                new = pd.concat([held.rows, new[new["epoch"] > held.last]]) if len(held.rows) else new
            self._held[run] = _Held(*state[run], new)
