"""What a sweep leaves out: the runs that fit any of its tables of [[exclude]].

A table names parts of a spec; a list, a range or a text with blanks (engine.axes) means any of its values:

    [[exclude]]
    dataset = "cora"
    scheme = ["int2", "int3"]
    model.hidden = { from = 64, to = 256, factor = 2 }
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.axes import is_axis, values_of
from engine.errors import InputError
from engine.scheme import parse_scheme
from engine.spec import RunSpec, component_table


class Exclusions:
    """The tables of ``exclude``; each has to fit something."""

    def __init__(self, tables: Sequence[Mapping[str, Any]]) -> None:
        self.rules = [self._read(table) for table in tables]
        self.used = [False] * len(tables)

    @staticmethod
    def _read(table: Mapping[str, Any]) -> dict[str, list[Any]]:
        if not table:
            raise InputError("an [[exclude]] is empty, which would exclude everything: say what is left out")
        for key in table:
            if key not in RunSpec.model_fields or key == "seed":
                allowed = ", ".join(name for name in RunSpec.model_fields if name != "seed")
                raise InputError(f"exclude.{key} is not allowed: what is left out is told by {allowed}")
        return {
            key: [_excluded_value(key, value) for value in values_of(given, f"exclude.{key}")]
            if not isinstance(given, Mapping) or is_axis(given)
            else [{name: values_of(value, f"exclude.{key}.{name}") for name, value in given.items()}]
            for key, given in table.items()
        }

    def fits(self, spec: Mapping[str, Any]) -> bool:
        """Whether a spec's table is excluded by any of them."""
        found = False
        for place, rule in enumerate(self.rules):
            if all(any(_fits(key, wanted, spec.get(key)) for wanted in values) for key, values in rule.items()):
                self.used[place] = found = True
        return found

    def check(self) -> None:
        """Raises InputError where one of them has fitted nothing."""
        for rule, used in zip(self.rules, self.used, strict=True):
            if not used:
                raise InputError(f"an [[exclude]] leaves nothing out, since no run fits it: {_said(rule)}")


def _said(rule: Mapping[str, list[Any]]) -> str:
    return ", ".join(f"{key} = {' or '.join(map(str, values))}" for key, values in rule.items())


def _excluded_value(key: str, value: Any) -> Any:
    """A scheme as it is printed, a component as a table of lists of values."""
    if key == "scheme":
        return str(parse_scheme(value))
    if key == "device" or not isinstance(value, str):
        return value
    return {name: [option] for name, option in component_table(value, key).items()}


def _fits(key: str, wanted: Any, given: Any) -> bool:
    if not isinstance(wanted, Mapping):
        try:
            return wanted == (str(parse_scheme(given)) if key == "scheme" else given)
        except InputError:
            return False
    try:
        table = component_table(given, key) if isinstance(given, str) else given
    except InputError:
        return False
    return isinstance(table, Mapping) and all(table.get(name) in values for name, values in wanted.items())
