"""Which facts are for those only who may change something: where things run, and in which versions.

In public they say which machine to try, and by which known faults. ``app.connection.ask`` takes them out of whatever
the store answers to a visitor who may only look, so that no page, no file and no report has them; pages leave out what
has no value.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pyarrow as pa

HIDDEN = frozenset({"host", "pid", "code", "packages", "python", "platform", "processor", "software"})
"""Columns of the store's answers, and entries of what they hold as JSON, that have no value in public."""
OF_JSON = frozenset({"provenance", "attempts_detail"})
"""Columns of JSON text that may have such entries."""

_PLACE = re.compile(r"\b[a-z][a-z+]*://[^\s,;'\")]+|(?<![\w./])~?(?:/[^\s/:,;'\")]+){2,}/?")
"""An address, or a path from the root with more than one part."""


def public(table: pa.Table) -> pa.Table:
    """A store's answer without what is private: no hosts, process ids, versions, addresses or paths of faults."""
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        if name in HIDDEN:
            made: Any = pa.nulls(len(column), column.type)
        elif name in OF_JSON:
            made = pa.array([_json(text) for text in column.to_pylist()], column.type)
        elif name == "worker":
            made = pa.array([public_worker(text) for text in column.to_pylist()], column.type)
        elif name == "reason":
            made = pa.array(
                [None if text is None else without_places(text) for text in column.to_pylist()], column.type
            )
        else:
            continue
        table = table.set_column(place, table.field(place).with_nullable(True), made)
    return table


def public_worker(worker: str | None) -> str | None:
    """A worker's name without its machine's: "cpu-1" of "cpu-1@here"."""
    return worker.partition("@")[0] if worker else worker


def without_places(text: str) -> str:
    """A fault without the addresses and paths that it names."""
    return _PLACE.sub("…", text)


def _json(text: str | None) -> str | None:
    return None if text is None else json.dumps(_entries(json.loads(text)))


def _entries(value: Any) -> Any:
    if isinstance(value, list):
        return [_entries(each) for each in value]
    if not isinstance(value, dict):
        return value
    found = {name: None if name in HIDDEN else _entries(each) for name, each in value.items()}
    return found | ({"worker": public_worker(found["worker"])} if "worker" in found else {})
