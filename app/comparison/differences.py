"""Where the configurations of runs differ, field by field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from app.comparison.results import flattened
from engine.errors import InputError
from engine.grammar import print_value
from engine.spec import RunSpec


def spec_differences(specs: Mapping[str, str], *, everything: bool = False) -> list[dict[str, str]]:
    """A row a field: ``Field``, then each spec's value under its name; a dash where a spec has no such field.

    ``specs``: specs' JSON texts by a name. ``everything``: the fields too in which they agree.
    """
    flat = {name: _fields(text) for name, text in specs.items()}
    names = dict.fromkeys(field for fields in flat.values() for field in fields)
    rows = []
    for field in names:
        values = {name: _shown(fields, field) for name, fields in flat.items()}
        if everything or len(set(values.values())) > 1:
            rows.append({"Field": field, **values})
    return rows


def _fields(text: str) -> dict[str, Any]:
    """Every field with its default filled in, so that an older spec differs in nothing but what was chosen."""
    data = json.loads(text)
    with suppress(InputError):  # of another installation: as it stands
        data = RunSpec.parse(data).model_dump(mode="json")
    return flattened(data)


def _shown(fields: Mapping[str, Any], name: str) -> str:
    if fields.get(name) is None:
        return "–"
    value = fields[name]
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, list) else print_value(value)
