"""Parallel coordinates: each group a line across its configuration and its results; drag along an axis to choose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import plotly.graph_objects as go

from app.charts.layout import plain
from app.theme import FAMILIES, OTHER, family_style, scheme_family

MOST_WORDS = 20
"""An axis of words with more of them than this is left out: nobody could read it."""


def parallel_chart(
    groups: Sequence[Mapping[str, Any]], axes: Mapping[str, str], *, height: int = 420
) -> go.Figure | None:
    """A line a group in its scheme family's colour; ``axes``: columns of the groups with their titles, in order.

    A column is left out where all groups have one value, or none; so is a group that lacks one of the rest. None where
    fewer than two columns or groups are left.
    """
    chosen = [name for name in axes if _differs([row.get(name) for row in groups])]
    rows = [row for row in groups if all(row.get(name) is not None for name in chosen)]
    chosen = [name for name in chosen if _differs([row[name] for row in rows])]
    if len(chosen) < 2 or len(rows) < 2:
        return None
    families = [*FAMILIES, "other"]
    places = [_place(families, row.get("family") or scheme_family(row["scheme"])) for row in rows]
    styles = [family_style(family) if family in FAMILIES else OTHER for family in families]
    steps = len(families)
    scale = [[edge, style.color] for place, style in enumerate(styles) for edge in (place / steps, (place + 1) / steps)]
    figure = go.Figure(
        go.Parcoords(
            dimensions=[_dimension(axes[name], [row[name] for row in rows]) for name in chosen],
            line={"color": places, "cmin": -0.5, "cmax": steps - 0.5, "colorscale": scale},
            labelangle=-12,
            labelside="top",
        )
    )
    figure.update_layout(height=height, margin={"l": 70, "r": 70, "t": 70, "b": 24}, uirevision="parallel")
    return figure


def _differs(values: Sequence[Any]) -> bool:
    known = {value for value in values if value is not None}
    return len(known) > 1 and (all(_is_number(value) for value in known) or len(known) <= MOST_WORDS)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _place(families: Sequence[str], family: str) -> int:
    return families.index(family) if family in families else len(families) - 1


def _dimension(title: str, values: Sequence[Any]) -> dict[str, Any]:
    if all(_is_number(value) for value in values):
        return {"label": plain(title), "values": [float(value) for value in values]}
    words = sorted({str(value) for value in values})
    return {
        "label": plain(title),
        "values": [words.index(str(value)) for value in values],
        "tickvals": list(range(len(words))),
        "ticktext": [plain(word) for word in words],
        "range": [-0.5, len(words) - 0.5],
    }
