"""Axes of a grid: a table in which lists, ranges and texts with blanks stand for several values, as plain tables.

    scheme = ["fp32", "int8"]                                        # each of these
    hidden = { from = 16, to = 64, step = 16 }                       # 16, 32, 48, 64
    hidden = { from = 8, to = 64, factor = 2 }                       # 8, 16, 32, 64
    lr = { from = 1e-4, to = 1e-1, count = 4, log = true }           # 1e-4, 1e-3, 1e-2, 1e-1
    scheme = { text = "int{bits}:{site}", bits = { from = 2, to = 8, step = 1 }, site = ["weight", "input"] }

Lists hold ranges and texts as well as values. Numbers of a range are exact in decimal: 0.1 and three steps of 0.1 are
0.4, not 0.4 and a rest.
"""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from engine.errors import InputError

MOST_VALUES = 10_000
"""Longer axes are refused: more likely a slip than a plan."""
LARGEST = 1e300
"""Larger numbers are refused: so the ends of a range, and what lies between them, are floats."""
DIGITS = 12
"""Significant digits of the values between a range's ends where they are roots or fractions."""

Path = tuple[str, ...]


def expand_axes(table: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The table once for each choice from its axes; the last axis changes fastest. Raises InputError."""
    axes = list(_axes(table))
    for values in itertools.product(*(values for _, values in axes)):
        yield _with_values(table, zip((path for path, _ in axes), values, strict=True))


def size(table: Mapping[str, Any]) -> int:
    """How many tables ``expand_axes`` gives. Raises InputError."""
    return math.prod(len(values) for _, values in _axes(table))


def values_of(value: Any, where: str) -> list[Any]:
    """The values that one entry stands for: one, or those of a list, a range, a text with blanks. Raises InputError."""
    if isinstance(value, list):
        if not value:
            raise InputError(f"{where} is an empty list: name at least one value")
        return [one for element in value for one in values_of(element, where)]
    if is_range(value):
        return _range(value, where)
    if _is_text(value):
        return _texts(value, where)
    return [value]


def is_range(value: Any) -> bool:
    """Whether a table stands for numbers."""
    return isinstance(value, Mapping) and "from" in value


def is_axis(value: Any) -> bool:
    """Whether a table stands for several values, and is not a part of a spec."""
    return is_range(value) or _is_text(value)


def _is_text(value: Any) -> bool:
    """Whether a table stands for texts."""
    return isinstance(value, Mapping) and "text" in value


def _axes(table: Mapping[str, Any], prefix: Path = ()) -> Iterator[tuple[Path, list[Any]]]:
    for key, value in table.items():
        path = (*prefix, key)
        if isinstance(value, list) or is_axis(value):
            yield path, values_of(value, f"spec.{'.'.join(path)}")
        elif isinstance(value, Mapping):
            yield from _axes(value, path)


def _with_values(table: Mapping[str, Any], values: Iterator[tuple[Path, Any]] | Any) -> dict[str, Any]:
    data = {key: _with_values(value, ()) if isinstance(value, Mapping) else value for key, value in table.items()}
    for path, value in values:
        inner = data
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
    return data


_FORMS = (
    "a range is { from, to, step } (evenly), { from, to, factor } (each so many times the one before) or "
    "{ from, to, count } (so many, evenly, or with log = true by equal factors)"
)


def _range(table: Mapping[str, Any], where: str) -> list[int | float]:
    def refuse(why: str) -> InputError:
        return InputError(f"{where} = {dict(table)} is not allowed: {why}")

    if any(isinstance(value, int | float) and LARGEST < abs(value) < math.inf for value in table.values()):
        raise InputError(f"{where} is a range with a number beyond {LARGEST:g}, which is not allowed")
    given = {key: value for key, value in table.items() if key != "log"}
    by = set(given) - {"from", "to"}
    log = table.get("log", False)
    if set(given) - by != {"from", "to"} or len(by) != 1 or not by <= {"step", "factor", "count"}:
        raise refuse(_FORMS)
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in given.values()):
        raise refuse("its entries should be numbers")
    if not isinstance(log, bool) or (log and by != {"count"}):
        raise refuse("log = true goes with count")
    if not all(math.isfinite(value) for value in given.values()):
        raise refuse("its entries should be finite")
    first, last = Decimal(str(given["from"])), Decimal(str(given["to"]))
    if (by == {"factor"} or log) and (first <= 0 or last <= 0):
        raise refuse("equal factors need ends above 0")
    if by == {"count"}:
        if not isinstance(given["count"], int) or not 2 <= given["count"] <= MOST_VALUES:
            raise refuse(f"count should be a whole number from 2 to {MOST_VALUES}")
        found = _between(float(first), float(last), given["count"], log)
    else:
        step = Decimal(str(given[next(iter(by))]))
        toward = step if by == {"step"} else step - 1
        if step <= 0 and by == {"factor"}:
            raise refuse("its factor should be above 0")
        if not toward or (toward > 0) != (last >= first):
            raise refuse("its steps do not lead from its beginning to its end")
        found, value = [], first
        while (value <= last if toward > 0 else value >= last) and len(found) <= MOST_VALUES:
            found.append(value)
            value = value + step if by == {"step"} else value * step
        if len(found) > MOST_VALUES:
            raise refuse(f"it has more than {MOST_VALUES} values")
    whole = isinstance(given["from"], int) and all(value == int(value) for value in found)
    return [int(value) if whole else float(value) for value in found]


def _between(first: float, last: float, count: int, log: bool) -> list[float]:
    shares = [place / (count - 1) for place in range(1, count - 1)]
    if log:
        inner = [math.exp(math.log(first) + share * (math.log(last) - math.log(first))) for share in shares]
    else:
        inner = [first + share * (last - first) for share in shares]
    return [first, *(float(f"{value:.{DIGITS}g}") for value in inner), last]


def _texts(table: Mapping[str, Any], where: str) -> list[str]:
    text = table["text"]
    if not isinstance(text, str):
        raise InputError(f"{where}.text = {text!r} is not allowed: it should be text")
    try:
        parts = list(string.Formatter().parse(text))
    except ValueError as error:
        raise InputError(f"{where}.text = {text!r} cannot be read: {error}") from None
    blanks = list(dict.fromkeys(name for _, name, _, _ in parts if name is not None))
    if any(rest or how for _, _, rest, how in parts) or set(blanks) != set(table) - {"text"}:
        named = ", ".join(f"{{{name}}}" for name in blanks) or "none"
        given = ", ".join(name for name in table if name != "text") or "none"
        raise InputError(
            f"{where} has blanks {named} and values for {given}: "
            "give each {name} in its text a list or a range of that name, and nothing else"
        )
    axes = [values_of(table[name], f"{where}.{name}") for name in blanks]
    if (count := math.prod(map(len, axes))) > MOST_VALUES:
        raise InputError(f"{where}.text = {text!r} stands for {count} texts; at most {MOST_VALUES} are allowed")
    return [
        "".join(before + ("" if name is None else _word(chosen[name])) for before, name, _, _ in parts)
        for values in itertools.product(*axes)
        for chosen in (dict(zip(blanks, values, strict=True)),)
    ]


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
