"""A run's log: what the store was told of it, in the order in which it happened."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from app.digits import bytes_text
from app.measured import on_host
from app.phrases import duration

Event = tuple[datetime | None, str, str]
"""When (None: with what stands before it), what, and the words."""


def log_of(
    row: Mapping[str, Any], switches: Sequence[Mapping[str, Any]], measured: Sequence[Mapping[str, Any]]
) -> list[Event]:
    """The events of a run (a row of the query ``run``), oldest first.

    ``switches``: its decisions about precision; ``measured``: its ``measurements``. Epochs are not listed: the curves
    show them.
    """
    events: list[Event] = [(row["submitted_at"], "queued", _queued(row))]
    for attempt in json.loads(row["attempts_detail"] or "[]") or []:
        events += _attempt(attempt, newest=attempt["attempt"] == row["attempt"], row=row)
        if attempt["attempt"] == row["attempt"]:
            # Decisions have epochs and no times: they stand between the newest attempt's start and its end.
            decided = [
                (None, "precision", f"epoch {each['epoch']}: {each['label']}, {each['reason']}") for each in switches
            ]
            place = len(events) - (1 if attempt["ended_at"] else 0)
            events[place:place] = decided
    if measured:
        first = measured[0]
        events.append((first["measured_at"], "measured", f"on {on_host(first)}, see What it costs"))
    return events


def _queued(row: Mapping[str, Any]) -> str:
    parts = [f"with priority {row['priority']}" if row["origin"] == "queue" else "trained by whoever launched it"]
    if row["sweep"]:
        parts.append(f"of the sweep {row['sweep']}")
    if row["parent"]:
        parts.append(f"cloned from {row['parent']}")
    return ", ".join(parts)


def _attempt(attempt: Mapping[str, Any], *, newest: bool, row: Mapping[str, Any]) -> list[Event]:
    number, state = attempt["attempt"], attempt["state"]
    where = f"attempt {number} on {attempt['worker']} ({', '.join(filter(None, (attempt['host'], attempt['device'])))})"
    events: list[Event] = [(_time(attempt["started_at"]), "started", where)]
    if attempt["healed"]:
        events.append((None, "healed", "epochs that were missing came with the end"))
    ended = _time(attempt["ended_at"])
    if state == "lost":
        events.append((ended, "lost", f"attempt {number} at epoch {attempt['epoch']}: its worker was not heard from"))
    elif ended is not None:
        text = f"attempt {number} after {attempt['epoch']} epochs"
        if newest and row["reason"]:
            text += f": {row['reason']}"
        elif newest and state == "finished":
            text += f", {duration(row['seconds'])} of training, peak memory {bytes_text(row['peak_memory'] or 0)}"
        events.append((ended, state, text))
    return events


def log_table(events: Sequence[Event]) -> pd.DataFrame:
    """The events as a table, times in UTC."""
    return pd.DataFrame(
        {
            "Time (UTC)": ["" if at is None else f"{at:%Y-%m-%d %H:%M:%S}" for at, _, _ in events],
            "Event": [what for _, what, _ in events],
            "": [words for _, _, words in events],
        }
    )


def log_text(events: Sequence[Event]) -> str:
    """The events as lines, for a file."""
    table = log_table(events).itertuples(index=False, name=None)
    return "".join(f"{at or ' ' * 19}  {what:<9}  {words}\n" for at, what, words in table)


def _time(text: str | None) -> datetime | None:
    if not text:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
