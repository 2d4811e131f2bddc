"""A front as the Compare page draws it: handed its new points, not drawn anew, and picked from by a click.

``st.plotly_chart`` puts a new chart in place of the old one whenever the figure changes, which takes the browser twice
as long, and its selection is lost with the old chart (Streamlit 1.67).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from app.charts.layout import CONFIG
from app.plotly_component import PlotlyComponent

HTML = '<div class="front-chart" role="img"></div>'
CSS = """
.front-chart { width: 100%; overflow: hidden; }
.front-chart .modebar { opacity: 0.6; }
.front-chart.over-point .nsewdrag { cursor: pointer !important; }
"""
CHART = PlotlyComponent("bitfront_front", html=HTML, css=CSS, script="front_chart.js")


def front_chart(figure: Mapping[str, Any], key: str, alt: str, on_pick: Callable[[str], None]) -> None:
    """Draw ``app.charts.pareto.pareto_data``; ``on_pick`` is told the group of a point that is clicked."""

    def picked() -> None:
        if group := (st.session_state[key] or {}).get("pick"):
            on_pick(str(group))

    data = {"figure": json.dumps(figure), "config": CONFIG, "alt": alt}
    CHART.draw(key, data, int(figure["layout"]["height"]), on_pick_change=picked)
