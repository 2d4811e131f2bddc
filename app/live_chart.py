"""A plotly chart that is drawn on, not drawn anew, while its figure grows.

``st.plotly_chart`` puts a new chart in place of the old one whenever the figure changes, key or no key
(Streamlit 1.67): at each new point it would blink, and a zoom would be lost. This component keeps the
chart and hands it the new figure by ``Plotly.react``; with the figure's ``uirevision`` unchanged, plotly
keeps the zoom.
"""

from __future__ import annotations

import plotly.graph_objects as go

from app.charts.layout import CONFIG
from app.plotly_component import PlotlyComponent

HTML = '<div class="live-chart" role="img"></div>'
CSS = """
.live-chart { width: 100%; overflow: hidden; }
.live-chart .modebar { opacity: 0.6; }
"""
CHART = PlotlyComponent("bitfront_live_chart", html=HTML, css=CSS, script="live_chart.js")


def live_chart(figure: go.Figure, key: str, alt: str) -> None:
    """Draw a figure that will be drawn again with more points; its layout names its height."""
    figure.update_layout(template=None)  # colours of paper, text and grid are the theme's
    CHART.draw(key, {"figure": figure.to_json(), "config": CONFIG, "alt": alt}, int(figure.layout.height))
