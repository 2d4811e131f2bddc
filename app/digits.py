"""How many digits a metric is shown with: shares in percent have two, errors in a unit of their own four."""

from __future__ import annotations


def digits(unit: str | None) -> int:
    """Digits after the point of a metric in this unit (empty or None: the target's own)."""
    return 2 if unit == "%" else 4


def number(value: float, unit: str | None, sign: str = "") -> str:
    """The metric's number alone; ``sign`` as in a format ("+")."""
    return f"{value:{sign}.{digits(unit)}f}"
