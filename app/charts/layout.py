"""What all charts share: margins, legend, grid, hover; colours of text and paper come from the page's theme."""

from __future__ import annotations

import html
import math
from typing import Any

import plotly.graph_objects as go

GRID = "rgba(128,140,150,0.18)"
"""Grid lines, readable on light and dark."""

CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "showSendToCloud": False,  # plotly's own button would upload the chart to its makers
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d", "zoomIn2d", "zoomOut2d"],
    "toImageButtonOptions": {"format": "svg"},
}
"""For ``st.plotly_chart(config=…)``, our own components and reports."""


def chart_layout(*, height: int, revision: str) -> dict[str, Any]:
    """Layout of every chart; ``revision`` keeps the zoom for as long as it stays the same."""
    return {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.01, "x": 0, "title": None},
        "hoverlabel": {"align": "left"},
        "uirevision": revision,
    }


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with its title (unit in it) close to the ticks."""
    if (
        more.get("type") == "log" and "dtick" not in more
    ):  # else plotly writes the 2 and the 5 between 1 and 10 as small digits
        more = {"tickformat": "~s" if more.get("exponentformat") == "SI" else "~g"} | more
    return {
        "title": {"text": title, "standoff": 8},
        "gridcolor": GRID,
        "zeroline": False,
        "automargin": True,
        "ticklabeloverflow": "allow",  # the margin has room for them; else the browser measures each of them again
        **more,
    }


def traces_of(figure: go.Figure) -> list[Any]:
    """A figure's traces, of whatever kinds."""
    traces: Any = figure.data
    return list(traces)


def note_at(value: float, axis_type: str | None) -> float:
    """Where an annotation at a value of an axis stands: plotly counts decades for it on a logarithmic one, though not
    for shapes and points."""
    return math.log10(max(value, 1e-300)) if axis_type == "log" else value


def plain(text: object) -> str:
    """Text that plotly shows as it stands, whatever signs it holds."""
    return html.escape(str(text), quote=False)
