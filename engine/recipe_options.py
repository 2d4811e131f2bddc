"""How recipes read a part's options: each with what is allowed, unknown ones refused with the known ones named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from engine.errors import InputError
from engine.formats import Format, get_format
from engine.formats.base import GRANULARITIES
from engine.grammar import Part, Value, print_value
from engine.ranges import RANGES, check_options
from engine.scheme import ESTIMATORS, Quantization

QUANTIZER_OPTIONS = ("range", "estimator", "p", "momentum", "keep", "dq_percentile", "granularity")
"""Options of how a format is used, beside which one it is (``read_quantization``)."""


class Options:
    """The options of one part. Raises InputError at once for one that the recipe does not have."""

    def __init__(self, part: Part, allowed: Sequence[str], *, steps: bool = False) -> None:
        self.text = str(part)
        self._given = dict(part.options)
        for key in self._given:
            if key not in allowed:
                known = ", ".join(allowed) or "none"
                raise InputError(f"the scheme {self.text!r} has no option {key!r}: its options are {known}")
        if part.steps and not steps:
            raise InputError(f"the scheme {self.text!r} takes no list in brackets; write {part.name!r}")

    def __contains__(self, key: str) -> bool:
        return key in self._given

    def _fail(self, key: str, allowed: str) -> InputError:
        return InputError(f"the scheme {self.text!r}: {key} is {allowed}, not {print_value(self._given[key])}")

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        value = self._given.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._fail(key, f"a whole number from {least} to {most}")
        return value

    def number(self, key: str, default: float, *, above: float | None = None) -> float:
        """A finite number ≥ 0, or above ``above``."""
        value = self._given.get(key, default)
        low = 0.0 if above is None else above
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or float(value) < low or (above is not None and float(value) == above):
            raise self._fail(key, f"a number above {low:g}" if above is not None else "a number from 0 up")
        return float(value)

    def share(self, key: str, default: float) -> float:
        """A probability."""
        value = self._given.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise self._fail(key, "a probability from 0 to 1")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._given.get(key, default)
        if not isinstance(value, bool):
            raise self._fail(key, "true or false")
        return value

    def choice(self, key: str, default: str, allowed: Sequence[str]) -> str:
        value = self._given.get(key, default)
        if value not in allowed:
            raise self._fail(key, f"one of {', '.join(allowed)}")
        return str(value)

    def text_of(self, key: str, default: str) -> str:
        return str(self._given.get(key, default))

    def value(self, key: str) -> Value:
        return self._given[key]


def read_quantization(
    format: Format, options: Options, *, range: str = "min-max", estimator: str = "ste"
) -> Quantization:
    """How ``format`` quantizes, by the options QUANTIZER_OPTIONS; ``range``, ``estimator``: where none is given."""
    name = options.choice("range", range, [name for name in RANGES if name != "learned"])
    kind = options.choice("estimator", estimator, [name for name in ESTIMATORS if name != "lsq"])
    settings: dict[str, Value] = {
        option: options.value(option) for option in ("p", "momentum", "keep", "dq_percentile") if option in options
    }
    if name == "percentile":
        # [DQ]'s tails: 0.001 for INT8, 0.01 for INT4.
        settings.setdefault("p", 0.01 if format.bits <= 4 else 0.001)
    granularity: Any = options.choice("granularity", "tensor", GRANULARITIES)
    if settings:
        check_options(name, settings)
    return Quantization(format, granularity, range=name, range_options=tuple(sorted(settings.items())), estimator=kind)


def width_format(element: Value, family: str, text: str, least: int = 1, most: int = 16) -> Format:
    """The format of a number of bits (``family`` with the bits for {}: "int{}-floor"), or of a format's name.

    Raises InputError where the bits lie outside the family.
    """
    word = str(element)
    if not word.lstrip("-").isdecimal():
        return get_format(word)
    if not least <= int(word) <= most:
        raise InputError(f"the scheme {text!r}: bits go from {least} to {most}, not {word}")
    return get_format(family.format(int(word)))
