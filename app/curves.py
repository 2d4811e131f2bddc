"""The per-epoch rows of the runs on screen, read on from where they end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from app.run_table import ENDED

Read = Callable[[Mapping[str, int]], pa.Table]
"""{run: epoch} → the store's ``epochs`` rows of these runs, each one's later than its epoch."""

MOST_PIECES = 32
"""Pieces that a run's rows are held in; then they are put together."""


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
        after = {
            run: 0 if whole else self._held[run].last
            for run, (_, ended) in states.items()
            if (whole := run not in self._held or ended > self._held[run].ended) or not ended
        }
        for run, new in _by_run(read(after), after) if after else ():
            held = self._held[run].rows if after[run] else new.slice(0, 0)
            self._held[run] = _Held(*states[run], _longer(held, new))
        return {run: self._held[run].rows for run in states if self._held[run].rows.num_rows}


def _by_run(rows: pa.Table, runs: Iterable[str]) -> Iterator[tuple[str, pa.Table]]:
    """Rows that are ordered by run, apart: a slice a run, empty where it has none."""
    first: dict[str, int] = {}
    counts: dict[str, int] = {}
    for place, run in enumerate(rows["run"].to_pylist()):
        first.setdefault(run, place)
        counts[run] = counts.get(run, 0) + 1
    for run in runs:
        yield run, rows.slice(first.get(run, 0), counts.get(run, 0))


def _longer(rows: pa.Table, new: pa.Table) -> pa.Table:
    if not new.num_rows:
        return rows
    found = pa.concat_tables([rows, new])
    return found.combine_chunks() if found["epoch"].num_chunks > MOST_PIECES else found


def read_epochs(ask: Callable[..., pa.Table]) -> Read:
    """Reads with one query of the store for all runs, only what each of them has that is new."""

    def read(held: Mapping[str, int]) -> pa.Table:
        since = [f"{run}:{epoch}" for run, epoch in held.items() if epoch]
        return ask("epochs", runs=list(held), since=since)

    return read
