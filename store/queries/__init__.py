"""Named queries: one SQL file each, with typed parameters declared in its header.

A header is comment lines: first what the query gives, then a line a parameter,

    -- $name type=default {allowed|values} low..high: what it does

with the types text, integer and list (comma-separated text). No default: the parameter is required.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import duckdb
import pyarrow as pa

from engine.catalogue import unknown
from engine.errors import InputError

LARGEST = 2**63 - 1
"""What the database takes as a whole number; a parameter without bounds of its own ends there."""

_PARAMETER = re.compile(
    r"\$(?P<name>\w+) (?P<type>text|integer|list)(?P<given>=(?P<default>[^{:]*?))?"
    r"(?: \{(?P<allowed>[^}]+)\})?(?: (?P<low>-?\d+)\.\.(?P<high>\d*))?: (?P<about>.+)"
)


@dataclass(frozen=True)
class Parameter:
    """A query's parameter: its type, its default (None: required) and what is allowed."""

    name: str
    type: str
    default: str | None
    allowed: tuple[str, ...]
    low: int | None
    high: int | None
    about: str

    def read(self, value: Any) -> str | int:
        """The value as the query takes it. Raises InputError that names what is allowed."""
        if self.type == "integer":
            return self._integer(value)
        if self.type == "list" and isinstance(value, list | tuple | set | frozenset):
            value = ",".join(str(item) for item in value)
        if not isinstance(value, str):
            raise InputError(f"{self.name} = {value!r} is not allowed: it should be text")
        parts = [part.strip() for part in value.split(",") if part.strip()] if self.type == "list" else [value]
        if self.allowed:
            for part in parts:
                if part and part not in self.allowed:
                    raise InputError(
                        f"{self.name} = {part!r} is not allowed: it should be one of {', '.join(self.allowed)}"
                    )
        return ",".join(parts)

    def _integer(self, value: Any) -> int:
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise InputError(f"{self.name} = {value!r} is not allowed: it should be a whole number") from None
        low, high = -LARGEST if self.low is None else self.low, LARGEST if self.high is None else self.high
        if not low <= number <= high:
            bounds = f"at least {low}" if self.high is None and number < low else f"from {low} to {high}"
            raise InputError(f"{self.name} = {number} is not allowed: it should be {bounds}")
        return number


@dataclass(frozen=True)
class Query:
    """A named query: what it gives, its parameters and its SQL."""

    name: str
    about: str
    parameters: tuple[Parameter, ...]
    sql: str

    def bind(self, given: Mapping[str, Any]) -> dict[str, str | int]:
        """Every parameter's value. Raises InputError for an unknown, missing or unfit one."""
        allowed = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in allowed:
                if not allowed:
                    raise InputError(f"the query {self.name!r} takes no parameters, {name!r} was given")
                raise unknown("parameter", name, list(allowed))
        bound: dict[str, str | int] = {}
        for parameter in self.parameters:
            value = given.get(parameter.name, parameter.default)
            if value is None:
                raise InputError(f"the query {self.name!r} needs the parameter {parameter.name!r}: {parameter.about}")
            bound[parameter.name] = parameter.read(value)
        return bound

    def run(self, cursor: duckdb.DuckDBPyConnection, given: Mapping[str, Any]) -> pa.Table:
        """Run on a cursor of the caller's, fetched to the end. Raises InputError for a bad parameter."""
        return cursor.sql(self.sql, params=self.bind(given)).to_arrow_table()

    def columns(self, cursor: duckdb.DuckDBPyConnection) -> dict[str, str]:
        """The columns that the query gives and their types in SQL."""
        samples = {p.name: 0 if p.type == "integer" else "" for p in self.parameters}
        relation = cursor.sql(self.sql, params=samples)
        return dict(zip(relation.columns, map(str, relation.types), strict=True))


def parse(name: str, text: str) -> Query:
    """Read a query's file. Raises ValueError where the header does not fit."""
    about: list[str] = []
    parameters: list[Parameter] = []
    lines = text.splitlines()
    for line in lines:
        if not line.startswith("--"):
            break
        comment = line.removeprefix("--").strip()
        if not comment.startswith("$"):
            about.append(comment)
            continue
        found = _PARAMETER.fullmatch(comment)
        if not found:
            raise ValueError(f"the query {name!r} has a header line that cannot be read: {line}")
        parameters.append(
            Parameter(
                name=found["name"],
                type=found["type"],
                default=found["default"].strip() if found["given"] else None,
                allowed=tuple(found["allowed"].split("|")) if found["allowed"] else (),
                low=int(found["low"]) if found["low"] else None,
                high=int(found["high"]) if found["high"] else None,
                about=found["about"],
            )
        )
    return Query(name, " ".join(about), tuple(parameters), text)


@cache
def catalogue() -> dict[str, Query]:
    """Every named query by its name."""
    found = (file for file in files(__package__ or "store.queries").iterdir() if file.name.endswith(".sql"))
    queries = (parse(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")) for file in found)
    return {query.name: query for query in sorted(queries, key=lambda query: query.name)}


def get_query(name: str) -> Query:
    """The query of this name. Raises InputError with the nearest names."""
    queries = catalogue()
    if name not in queries:
        raise unknown("query", name, list(queries))
    return queries[name]
