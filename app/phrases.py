"""Times, sizes and numbers in the words that the pages use."""

from __future__ import annotations

import math
import re
from datetime import datetime

import pandas as pd

from app import digits


def duration(seconds: float | None) -> str:
    """A length of time in its two largest units: "45 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"."""
    if seconds is None or not math.isfinite(seconds):
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, below, small in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit} {rest} {small}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def ago(then: datetime | None, now: datetime) -> str:
    """How long ago something was heard: "now", "12 s ago", "3 min ago"; empty where never."""
    if then is None:
        return ""
    seconds = (now - then).total_seconds()
    if seconds < 2:
        return "now"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return f"{int(seconds)} s ago"


def mean_std(mean: float | None, std: float | None, unit: str | None = "%") -> str:
    """ "81.53 ± 0.40" in the digits of the unit, without the spread where there is one run only."""
    if mean is None or pd.isna(mean):
        return "–"
    text = digits.number(mean, unit)
    return text if std is None or pd.isna(std) else f"{text} ± {digits.number(std, unit)}"


def megabytes(size: float | None) -> str:
    """Bytes as 10^6 bytes."""
    return "–" if size is None or pd.isna(size) else f"{size / 1e6:,.0f} MB"


_STEPS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def quantity(value: float, unit: str) -> str:
    """A value with its unit: "4.00×", "8.00 bits", "15.5 MB a step" (powers of ten), "1.2 GBitOPs an epoch"."""
    if unit == "×":
        return f"{value:.2f}×"
    if unit in ("bits", "%"):
        return f"{value:.2f} {unit}"
    unit = re.sub(r"^bytes\b", "B", unit)
    size, prefix = next(((size, prefix) for size, prefix in _STEPS if abs(value) >= size), (1.0, ""))
    gap = " " if prefix and unit.startswith("an ") else ""
    return f"{value / size:.3g} {prefix}{gap}{unit}".rstrip()


def number(value: float | None, unit: str = "") -> str:
    """A metric with its unit, in the unit's digits; a dash where there is none."""
    if value is None or pd.isna(value):
        return "–"
    return digits.number(value, unit) + (f" {unit}" if unit else "")


def titled(metric: str, unit: str | None) -> str:
    """A metric's name with its unit, if it has one: "accuracy (%)", "MAE"."""
    return f"{metric} ({unit})" if unit else metric


def sentence_case(text: str) -> str:
    """With a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def count(n: int, noun: str, plural: str | None = None) -> str:
    """ "1 run", "12 runs"."""
    return f"{n} {noun if n == 1 else plural or noun + 's'}"


def literal(text: object) -> str:
    """Text that Streamlit's Markdown shows as it stands, whatever a person typed into it."""
    return re.sub(r"([\\`*_\[\]<>$~#|&!]|:(?=\S))", r"\\\1", str(text))
