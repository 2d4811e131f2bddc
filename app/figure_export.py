"""Buttons that save a chart as a picture in a paper's size: SVG for the text, PNG for slides.

The picture is drawn by the browser's own plotly, so the server needs no browser of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import plotly.graph_objects as go
import streamlit as st

from app.charts.paper import WIDTHS, image_options, paper_figure
from app.plotly_component import PlotlyComponent

Figure: TypeAlias = go.Figure | dict[str, Any]
"""As an object, or as plotly's plain data."""

HTML = '<div class="figure-export"></div>'
CSS = """
.figure-export { display: flex; gap: 0.5rem; }
.figure-export button { font: inherit; color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); padding: 0.35rem 0.75rem;
  cursor: pointer; }
.figure-export button:hover, .figure-export button:focus-visible { border-color: var(--st-primary-color);
  color: var(--st-primary-color); }
"""
BUTTONS = PlotlyComponent("bitfront_figure_export", html=HTML, css=CSS, script="figure_export.js")
FORMATS = {"svg": "Save as SVG", "png": "Save as PNG"}


def show_figure_export(figures: Callable[[], Mapping[str, Figure]], *, synthetic: bool) -> None:
    """A button that opens the choice of a chart and its size. Data that is generated says so in the file's name.

    ``figures`` is asked once somebody opens it: the charts by their titles.
    """
    with st.popover(
        "Figure for a paper", icon=":material/image:", width="content", key="paper", on_change="rerun"
    ) as place:
        if not place.open:
            return
        drawn = figures()
        if not drawn:
            st.caption("No chart is drawn yet.")
            return
        chart = st.selectbox("Chart", list(drawn), key="paper-chart")
        width = st.segmented_control(
            "Width", list(WIDTHS), default=next(iter(WIDTHS)), required=True, key="paper-width"
        )
        points = st.number_input("Text (points)", 5.0, 14.0, 8.0, 0.5, key="paper-points")
        figure = paper_figure(go.Figure(drawn[str(chart)]), inches=WIDTHS[str(width)], points=points)
        name = file_name(str(chart), synthetic=synthetic)
        _buttons(figure, name)
        st.caption(
            f"{WIDTHS[str(width)]:g} inches wide; a PNG has 600 dots an inch. Most tools turn an SVG into a PDF."
        )


def file_name(title: str, *, synthetic: bool) -> str:
    """Letters, digits and dashes of a chart's title."""
    return ("synthetic-" if synthetic else "") + (re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "figure")


def _buttons(figure: go.Figure, name: str) -> None:
    pictures: list[dict[str, Any]] = [
        {"label": label, "options": image_options(figure, name, format)} for format, label in FORMATS.items()
    ]
    BUTTONS.draw("paper-figure", {"figure": figure.to_json(), "pictures": pictures}, 42)
