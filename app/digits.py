"""How many digits a metric is shown with: shares in percent have two, errors in a unit of their own four."""

from __future__ import annotations


def digits(unit: str | None) -> int:
    """Digits after the point of a metric in this unit (empty or None: the target's own)."""
    return 2 if unit == "%" else 4


def number(value: float, unit: str | None, sign: str = "") -> str:
    """The metric's number alone; ``sign`` as in a format ("+"). What rounds to nothing has no minus."""
    return f"{value:{sign}z.{digits(unit)}f}"


def bytes_text(value: float) -> str:
    """Bytes in kB or MB of 10^3 and 10^6, as the papers count them."""
    if value < 1e3:
        return f"{value:.0f} B"
    return f"{value / 1e3:.1f} kB" if value < 1e6 else f"{value / 1e6:.2f} MB"


def seconds_text(value: float) -> str:
    """Seconds, in ms below one."""
    return f"{value * 1e3:.2f} ms" if value < 1 else f"{value:.2f} s"
