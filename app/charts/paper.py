"""Figures for papers: the size of a column, fonts of its text, thin lines, black on white."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go

WIDTHS: Mapping[str, float] = {"One column": 3.5, "Two columns": 7.0}
"""Inches; the IEEE's and the ACM's columns."""

PIXELS = 96.0
"""Of CSS an inch: what an SVG's sizes are in."""

POINTS = 72.0
MARKER = 0.55
"""Markers and lines are so much smaller than on the page."""


def paper_figure(figure: go.Figure, *, inches: float, points: float = 8.0, ratio: float = 0.66) -> go.Figure:
    """A copy of this width, whose text is so many points high, with the height as a share of the width.

    Every text has one size, as captions and axes of papers have.
    """
    size = points * PIXELS / POINTS
    copy = go.Figure(figure)
    for trace in copy.data:
        _shrink(trace, size)
    font = {"family": "Helvetica, Arial, sans-serif", "size": size, "color": "#000000"}
    copy.update_layout(
        template="plotly_white",
        width=round(inches * PIXELS),
        height=round(inches * ratio * PIXELS),
        font=font,
        legend={"font": {"size": size}, "itemsizing": "trace", "entrywidth": 0},
        margin={"l": 4, "r": 4, "t": 4, "b": 4},
        paper_bgcolor="#ffffff",
        plot_bgcolor="#ffffff",
        uirevision=None,
    )
    copy.update_xaxes(title_font=font, tickfont=font, title_standoff=4, gridwidth=0.5)
    copy.update_yaxes(title_font=font, tickfont=font, title_standoff=4, gridwidth=0.5)
    copy.update_annotations(font_size=size)
    return copy


def _shrink(trace: Any, size: float) -> None:
    if trace.type != "scatter":
        return
    marker = trace.marker.size
    if marker is not None:
        trace.marker.size = [each * MARKER for each in marker] if isinstance(marker, tuple | list) else marker * MARKER
    if trace.line.width:
        trace.line.width = max(0.75, trace.line.width * MARKER)
    if trace.error_y.array is not None:
        trace.error_y.thickness, trace.error_y.width = 0.75, 2
    if trace.text is not None:
        trace.textfont.size = size * 0.9


def image_options(figure: go.Figure, name: str, format: str) -> dict[str, Any]:
    """What plotly saves the picture by: SVG as it is, PNG at 600 dots an inch."""
    layout: Any = figure.layout
    scale = 600 / PIXELS if format == "png" else 1
    return {"format": format, "width": layout.width, "height": layout.height, "scale": scale, "filename": name}
