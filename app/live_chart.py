"""A plotly chart that is drawn on, not drawn anew, while its figure grows.

``st.plotly_chart`` puts a new chart in place of the old one whenever the figure changes, key or no key
(Streamlit 1.67): at each new point it would blink, and a zoom would be lost. This component keeps the
chart and hands it the new figure by ``Plotly.react``; with the figure's ``uirevision`` unchanged, plotly
keeps the zoom. The library is the page's own where an ordinary chart has loaded it, else the one that
comes with the Python package, sent once a page.
"""

from __future__ import annotations

from pathlib import Path

import plotly.graph_objects as go
import streamlit as st
from plotly.offline import get_plotlyjs
from streamlit.components.v2 import component

from app.charts.layout import CONFIG

NAME = "bitfront_live_chart"
HTML = '<div class="live-chart" role="img"></div>'
CSS = """
.live-chart { width: 100%; overflow: hidden; }
.live-chart .modebar { opacity: 0.6; }
"""
SCRIPT = (Path(__file__).parent / "assets" / "live_chart.js").read_text()


def live_chart(figure: go.Figure, key: str, alt: str) -> None:
    """Draw a figure that will be drawn again with more points; its layout names its height."""
    draw = component(NAME, html=HTML, css=CSS, js=SCRIPT, isolate_styles=False)
    wanted = (st.session_state.get(key) or {}).get("library") == "wanted"
    figure.update_layout(template=None)  # colours of paper, text and grid are the theme's
    draw(
        key=key,
        data={
            "figure": figure.to_json(),
            "config": CONFIG,
            "alt": alt,
            "library": get_plotlyjs() if wanted else None,
        },
        height=int(figure.layout.height),
        on_library_change=_run_again,
    )


def _run_again() -> None:
    """The page wants the library, or holds it now: the run that follows sends it, or leaves it out."""
