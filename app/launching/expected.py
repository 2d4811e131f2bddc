"""How long a launch will take: told by finished runs, as the time left of a sweep is (the store's view ``paces``)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.spec import RunSpec

Pace = Mapping[str, Any]  # a row of the query `history`

KNOWN_BY = (("dataset", "model", "scheme"), ("dataset", "model"), ("dataset",), ())
"""What of a run a pace is known by, the most telling first; a dataset counts with its options (JSON text)."""
WHATEVER = "whatever their other settings and device"
SAID = (
    f"this dataset, architecture and scheme ({WHATEVER})",
    f"this dataset and architecture ({WHATEVER})",
    f"this dataset ({WHATEVER})",
    f"other datasets ({WHATEVER})",
)


@dataclass(frozen=True)
class Expected:
    """Work in seconds of one worker, and what the least certain part of it is told by."""

    seconds: float
    told_by: str


def expected_time(cells: Iterable[RunSpec], each: int, paces: Sequence[Pace]) -> Expected | None:
    """Of ``each`` runs a cell; None where nothing has finished yet."""
    known: dict[tuple[str | None, ...], float] = {
        (_one_text(row["dataset"]), *(row[name] for name in KNOWN_BY[0][1:])): row["seconds_per_epoch"] for row in paces
    }
    seconds, least = 0.0, 0
    for spec in cells:
        of = {"dataset": _text(spec.dataset.model_dump(mode="json")), "model": spec.model.name, "scheme": spec.scheme}
        keys = [tuple(of[name] if name in names else None for name in KNOWN_BY[0]) for names in KNOWN_BY]
        rank = next((rank for rank, key in enumerate(keys) if known.get(key) is not None), None)
        if rank is None:
            return None
        least = max(least, rank)
        seconds += known[keys[rank]] * each * sum(phase.epochs or 0 for phase in spec.phases)
    return Expected(seconds, SAID[least])


def _one_text(dataset: str | None) -> str | None:
    """The store's text of a dataset as this module writes it: numbers can be written in several ways."""
    return None if dataset is None else _text(json.loads(dataset))


def _text(dataset: Mapping[str, Any]) -> str:
    return json.dumps(dataset, sort_keys=True)
