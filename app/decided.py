"""Decisions about the precision of a run (rows of the store's ``switches``), as a terminal prints them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DECISIONS = ["from epoch", "precision", "signal", "value", "threshold", "why"]
"""The columns of ``decision_line``."""


def decision_line(row: Mapping[str, Any]) -> list[str]:
    """A decision by column; empty where it has no value or was compared with nothing."""
    value, threshold = ("" if row[name] is None else f"{row[name]:.4g}" for name in ("value", "threshold"))
    return [str(row["epoch"]), row["label"], row["signal"], value, threshold, row["reason"]]
