"""Buttons that save a chart as a picture in a paper's size: SVG for the text, PNG for slides.

The picture is drawn by the browser's own plotly, so the server needs no browser of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import streamlit as st
from plotly.offline import get_plotlyjs
from streamlit.components.v2 import component

from app.charts.paper import WIDTHS, image_options, paper_figure

NAME = "bitfront_figure_export"
HTML = '<div class="figure-export"></div>'
CSS = """
.figure-export { display: flex; gap: 0.5rem; }
.figure-export button { font: inherit; color: var(--st-text-color); background: var(--st-background-color);
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); padding: 0.35rem 0.75rem;
  cursor: pointer; }
.figure-export button:hover, .figure-export button:focus-visible { border-color: var(--st-primary-color);
  color: var(--st-primary-color); }
"""
SCRIPT = (Path(__file__).parent / "assets" / "figure_export.js").read_text()
FORMATS = {"svg": "Save as SVG", "png": "Save as PNG"}


def show_figure_export(figures: dict[str, go.Figure], *, synthetic: bool) -> None:
    """A button that opens the choice of a chart and its size. Data that is generated says so in the file's name."""
    if not figures:
        return
    with st.popover("Figure for a paper", icon=":material/image:", width="content", on_change="rerun") as place:
        if not place.open:
            return
        chart = st.selectbox("Chart", list(figures), key="paper-chart")
        width = st.segmented_control(
            "Width", list(WIDTHS), default=next(iter(WIDTHS)), required=True, key="paper-width"
        )
        points = st.number_input("Text (points)", 5.0, 14.0, 8.0, 0.5, key="paper-points")
        figure = paper_figure(figures[str(chart)], inches=WIDTHS[str(width)], points=points)
        name = file_name(str(chart), synthetic=synthetic)
        _buttons(figure, name)
        st.caption(
            f"{WIDTHS[str(width)]:g} inches wide; a PNG has 600 dots an inch. Most tools turn an SVG into a PDF."
        )


def file_name(title: str, *, synthetic: bool) -> str:
    """Letters, digits and dashes of a chart's title."""
    return ("synthetic-" if synthetic else "") + (re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "figure")


def _buttons(figure: go.Figure, name: str) -> None:
    key = "paper-figure"
    draw = component(NAME, html=HTML, css=CSS, js=SCRIPT, isolate_styles=False)
    wanted = (st.session_state.get(key) or {}).get("library") == "wanted"
    pictures: list[dict[str, Any]] = [
        {"label": label, "options": image_options(figure, name, format)} for format, label in FORMATS.items()
    ]
    draw(
        key=key,
        data={"figure": figure.to_json(), "pictures": pictures, "library": get_plotlyjs() if wanted else None},
        height=42,
        on_library_change=_run_again,
    )


def _run_again() -> None:
    """The page wants the library, or holds it now: the run that follows sends it, or leaves it out."""
