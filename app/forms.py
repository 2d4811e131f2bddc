"""Widgets grown from a pydantic spec: a new field of a dataset, an architecture or the run needs no line here.

What a field has where nobody says otherwise (``usual``) may be several values, where a form stands for several runs
that differ in it: then the field is empty and names them, and each run keeps its own until somebody fills it in.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import streamlit as st
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from engine.form_marks import BASIC, HIDDEN
from engine.grammar import print_value

Usual = Mapping[str, tuple[Any, ...]]
"""By option: the values that it has where nothing is said; more than one where runs differ in it."""


def option_names(spec: type[BaseModel]) -> list[str]:
    """The fields a person may set: all but the name and those that a page sets by other means."""
    return [name for name, field in spec.model_fields.items() if name != "name" and field.json_schema_extra != HIDDEN]


def class_usual(spec: type[BaseModel]) -> Usual:
    """The defaults of the class."""
    return {name: (spec.model_fields[name].default,) for name in option_names(spec)}


def shown_names(
    spec: type[BaseModel], prefix: str, usual: Usual, expert: bool, names: Sequence[str] | None = None
) -> list[str]:
    """The fields of ``names`` (None: every one) that are drawn: for experts all, else those that are marked as basic
    and those that somebody has filled in."""
    return [
        name
        for name in (option_names(spec) if names is None else names)
        if expert or spec.model_fields[name].json_schema_extra == BASIC or _is_set(field_key(prefix, name), usual[name])
    ]


def field_key(prefix: str, name: str) -> str:
    """What a field is called in the link."""
    return f"{prefix}.{name}" if prefix else name


def _is_set(key: str, usual: tuple[Any, ...]) -> bool:
    if key in st.session_state:
        return st.session_state[key] is not None and (st.session_state[key],) != usual
    return key in st.query_params


def spec_form(
    spec: type[BaseModel], prefix: str, usual: Usual | None = None, *, names: Sequence[str] | None = None
) -> dict[str, Any]:
    """Draw a widget for each option of ``spec`` (or of those named), to be laid out by the caller (a grid, as a rule).

    Gives those values that differ from ``usual`` (None: the class's own); each is part of the link as ``prefix.name``.
    """
    usual = class_usual(spec) if usual is None else usual
    found: dict[str, Any] = {}
    for name in option_names(spec) if names is None else names:
        value = _widget(name, spec.model_fields[name], field_key(prefix, name), usual[name])
        if value is not None and (value,) != usual[name]:
            found[name] = value
    return found


def _widget(name: str, field: FieldInfo, key: str, usual: tuple[Any, ...]) -> Any:
    label = field.title or _label(name)
    kind = _plain_type(field.annotation)
    default = usual[0] if len(usual) == 1 else None
    about = field.description
    shared: dict[str, Any] = {"key": key, "bind": "query-params"}
    if default is None:
        shared["placeholder"] = "/".join(map(print_value, usual)) if len(usual) > 1 else "none"
    if len(usual) > 1:
        each = f"Usual here: {' or '.join(map(print_value, usual))}; left empty, each run has its own."
        about = f"{about} {each}" if about else each
    shared["help"] = about
    if get_origin(kind) is Literal or (kind is bool and default is None):
        options = list(get_args(kind)) or [True, False]
        return st.selectbox(
            label, options, index=None if default is None else options.index(default), format_func=_said, **shared
        )
    if kind is bool:
        return st.toggle(label, value=bool(default), **shared)
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
    return st.text_input(label, value=default, live="300ms", **shared)


def _label(name: str) -> str:
    """ "Weight decay", "LR step"."""
    words = " ".join(word.upper() if len(word) < 3 else word for word in name.split("_"))
    return words[:1].upper() + words[1:]


def _said(value: Any) -> str:
    return print_value(value) if isinstance(value, bool) else str(value)


def _plain_type(annotation: Any) -> Any:
    """``int`` of ``int | None`` and of ``Annotated[int, …]``."""
    if get_origin(annotation) is Annotated:
        return _plain_type(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return _plain_type(kinds[0]) if len(kinds) == 1 else annotation
    return annotation


def _rules(field: FieldInfo) -> list[Any]:
    """The bounds, also where they stand inside ``… | None``."""
    inner = [kind for kind in get_args(field.annotation) if get_origin(kind) is Annotated]
    given = [rule for kind in inner for rule in get_args(kind)[1:]]
    return [*field.metadata, *(each for rule in given for each in getattr(rule, "metadata", [rule]))]


def _bounds(field: FieldInfo) -> tuple[float | None, float | None]:
    """The closed bounds of a whole number."""
    low = high = None
    for rule in _rules(field):
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
