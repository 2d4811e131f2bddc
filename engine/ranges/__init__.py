"""Ranges (calibration): where a ranged format's codes begin and end (METHODS §2).

A range observes tensors while its module is in training mode and is frozen in evaluation mode; its state
is in the state dict. ``make_range`` finds one by its name.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.catalogue import unknown
from engine.errors import InputError

if TYPE_CHECKING:
    from engine.ranges.base import Range


@dataclass(frozen=True)
class RangeEntry:
    """A kind of range; ``target`` is where its class is, imported when one is made."""

    name: str
    summary: str
    source: str
    target: str
    options: tuple[str, ...] = ()


W20 = "Wu et al. 2020, arXiv 2004.09602"
RANGES: dict[str, RangeEntry] = {
    entry.name: entry
    for entry in (
        RangeEntry("min-max", "least and largest value of the tensor at hand", W20, "min_max:MinMax"),
        RangeEntry("running", "least and largest value seen so far", W20, "running:Running"),
        RangeEntry("ema", "moving average of the least and largest value", W20, "running:Ema", ("momentum",)),
        RangeEntry(
            "percentile",
            "the tensor without its tails",
            "Tailor et al., ICLR 2021, arXiv 2008.05000",
            "percentile:Percentile",
            ("p", "dq_percentile", "keep", "momentum", "sample"),
        ),
        RangeEntry("entropy", "the threshold that loses least information", W20, "entropy:Entropy"),
        RangeEntry("mse", "the shrunk range with the least squared error", W20, "mse:Mse", ("momentum", "sample")),
        RangeEntry(
            "learned", "a learned step", "Esser et al., ICLR 2020, arXiv 1902.08153", "learned:Learned", ("lines",)
        ),
    )
}


_ALLOWED = {
    "p": (lambda value: 0 <= value < 0.5, "the share of a tail, from 0 to below 0.5"),
    "momentum": (lambda value: 0 < value <= 1, "the weight of a new tensor, above 0 and at most 1"),
    "keep": (lambda value: value in KEEP, "one of running, ema, current"),
    "dq_percentile": (lambda value: isinstance(value, bool), "true or false"),
    "sample": (lambda value: isinstance(value, int) and value >= 1, "a whole number from 1 on"),
    "lines": (lambda value: isinstance(value, tuple), "the shape of the steps, a tuple"),
}
KEEP = ("running", "ema", "current")


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise InputError for an option that the range does not have, or a value that it does not take."""
    entry = RANGES[name]
    for key, value in options.items():
        if key not in entry.options:
            known = ", ".join(entry.options) or "none"
            raise InputError(f"the range {name!r} has no option {key!r}: its options are {known}")
        fits, words = _ALLOWED[key]
        number = key in ("p", "momentum")
        if (number and (isinstance(value, bool) or not isinstance(value, int | float))) or not fits(value):
            raise InputError(f"the range {name!r}: {key} is {words}, not {value!r}")


def make_range(name: str, **options: Any) -> Range:
    """A new range of this name. Raises InputError for an unknown name or option."""
    if name not in RANGES:
        raise unknown("range", name, list(RANGES))
    check_options(name, options)
    entry = RANGES[name]
    module, kind = entry.target.split(":")
    return getattr(importlib.import_module(f"engine.ranges.{module}"), kind)(**options)
