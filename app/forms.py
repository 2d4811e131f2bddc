"""Widgets grown from a pydantic spec: a new field of a dataset or architecture needs no line here."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

HIDDEN = {"form": "hidden"}
"""A field's mark (``json_schema_extra``) that leaves it out of the form."""


def option_names(spec: type[BaseModel]) -> list[str]:
    """The fields a person may set: all but the name and those that a page sets by other means."""
    return [name for name, field in spec.model_fields.items() if name != "name" and field.json_schema_extra != HIDDEN]


def spec_form(spec: type[BaseModel], prefix: str, defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Draw a widget for each option of ``spec``, to be laid out by the caller (a grid, as a rule).

    Gives their values; each is part of the link as ``prefix.field``. ``defaults``: in place of the class's own.
    """
    given = defaults or {}
    found = {name: spec.model_fields[name] for name in option_names(spec)}
    return {
        name: _widget(name, field, f"{prefix}.{name}", given.get(name, field.default)) for name, field in found.items()
    }


def _widget(name: str, field: FieldInfo, key: str, default: Any) -> Any:
    label = field.title or (name.upper() if len(name) < 3 else name.replace("_", " ").capitalize())
    kind = _plain_type(field.annotation)
    shared: dict[str, Any] = {"key": key, "bind": "query-params", "help": field.description}
    if get_origin(kind) is Literal:
        options = list(get_args(kind))
        return st.selectbox(label, options, index=options.index(default), **shared)
    if kind is bool:
        return st.toggle(label, value=default, **shared)
    if kind is int:
        low, high = _bounds(field)
        return st.number_input(
            label,
            value=default,
            step=1,
            min_value=None if low is None else int(low),
            max_value=None if high is None else int(high),
            **shared,
        )
    if kind is float:
        return st.number_input(label, value=default, step=_step(default), format="%g", **shared)
    return st.text_input(label, value=str(default), **shared)


def _plain_type(annotation: Any) -> Any:
    """``int`` of ``int | None``."""
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0] if len(kinds) == 1 else annotation
    return annotation


def _bounds(field: FieldInfo) -> tuple[float | None, float | None]:
    """The closed bounds of a whole number."""
    low = high = None
    for rule in field.metadata:
        if getattr(rule, "ge", None) is not None:
            low = rule.ge
        if getattr(rule, "gt", None) is not None:
            low = rule.gt + 1
        if getattr(rule, "le", None) is not None:
            high = rule.le
        if getattr(rule, "lt", None) is not None:
            high = rule.lt - 1
    return low, high


def _step(default: float | None) -> float:
    """A tenth of the default's power of ten, so that + and − do something sensible."""
    if not default:
        return 0.1
    return 10.0 ** (len(f"{abs(default):.0f}") - 2) if abs(default) >= 1 else float(f"1e{f'{default:e}'.split('e')[1]}")
