"""What a separate pass measured of a run (engine.measure), as tables and axes show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from app.digits import bytes_text, seconds_text
from app.phrases import count
from engine.measure import QUANTITIES, Quantity

AXES: Mapping[str, tuple[str, float]] = {"bytes": ("10⁶ bytes", 1e-6), "s": ("ms", 1e3)}
"""By a quantity's unit: the unit of an axis, and the factor to it."""


def value_text(value: float | None, quantity: Quantity) -> str:
    """With the unit that reads best; a dash where there is none."""
    if value is None:
        return "–"
    return bytes_text(value) if quantity.unit == "bytes" else seconds_text(value)


def on_host(row: Mapping[str, Any]) -> str:
    """On what a run was measured: the host with its processor, or the processor alone where hosts are private."""
    return f"{row['host']} ({row['cpu']})" if row["host"] else row["cpu"]


def conditions_text(row: Mapping[str, Any]) -> str:
    """When, where and how a run was measured (any of the store's ``measurements``)."""
    where = f"{row['host']} ({row['cpu']}, {row['device']})" if row["host"] else f"{row['cpu']}, {row['device']}"
    return (
        f"{row['measured_at']:%Y-%m-%d %H:%M} UTC on {where}, "
        f"{count(row['threads'], 'thread')}, allocator {row['allocator']}, {count(row['epochs'], 'epoch')}; "
        "each variant in a fresh process."
    )


def measurement_rows(rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """(quantity, this run's value, fp32's) as text, of the store's ``measurements`` of one run."""
    table = measurement_table(rows)
    return list(zip(table["Quantity"], table["This run"], table["fp32"], strict=True))


def measurement_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The store's ``measurements`` of one run: each quantity of the run and of its fp32 twin, and their ratio."""
    values = {(row["quantity"], row["variant"]): row["value"] for row in rows}
    found = [quantity for name, quantity in QUANTITIES.items() if values.get((name, "run")) is not None]
    ours, theirs = ([values.get((quantity.name, variant)) for quantity in found] for variant in ("run", "fp32"))
    return pd.DataFrame(
        {
            "Quantity": [quantity.title for quantity in found],
            "This run": list(map(value_text, ours, found)),
            "fp32": list(map(value_text, theirs, found)),
            "Ratio": [f"{one / other:.2f}×" if one and other else "–" for one, other in zip(ours, theirs, strict=True)],
            "Definition": [quantity.definition for quantity in found],
        }
    )
