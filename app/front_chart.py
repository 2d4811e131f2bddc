"""A front as the Compare page draws it: handed its new points, not drawn anew, and picked from by a click or by keys.

``st.plotly_chart`` puts a new chart in place of the old one whenever the figure changes, which takes the browser twice
as long, and its selection is lost with the old chart; no key reaches its points either (Streamlit 1.67).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from app.charts.layout import CONFIG
from app.plotly_component import PlotlyComponent

KEYS = "Arrow keys: point to point · Enter: pick · Escape: leave"

HTML = f"""
<div class="front" role="application" tabindex="0">
  <div class="front-chart" role="img"></div>
  <div class="front-ring" hidden></div>
  <div class="front-keys" aria-hidden="true">{KEYS}</div>
  <div class="front-said" role="status"></div>
</div>
"""
CSS = """
.front { position: relative; border-radius: var(--st-base-radius); }
.front:focus { outline: none; }
.front:focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: -2px; }
.front-chart { width: 100%; overflow: hidden; }
.front-chart .modebar { opacity: 0.6; }
.front-chart.over-point .nsewdrag { cursor: pointer !important; }
.front-ring { position: absolute; width: 23px; height: 23px; transform: translate(-50%, -50%); border-radius: 50%;
  border: 2px solid var(--st-text-color); pointer-events: none; }
.front-keys { display: none; position: absolute; right: 8px; top: 0; padding: 2px 8px; font-size: 0.8rem;
  color: var(--st-text-color); background: var(--st-secondary-background-color);
  border-radius: var(--st-base-radius); pointer-events: none; }
.front:focus-visible .front-keys { display: block; }
.front-said { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
"""
CHART = PlotlyComponent("bitfront_front", html=HTML, css=CSS, script="front_chart.js")


def front_chart(
    figure: Mapping[str, Any], key: str, alt: str, picked: Sequence[str], on_pick: Callable[[str], None]
) -> None:
    """Draw ``app.charts.pareto.pareto_data``; ``picked``: the groups that are. ``on_pick`` is told the group of a point
    that is clicked, or picked by keys."""

    def point_picked() -> None:
        if group := (st.session_state[key] or {}).get("pick"):
            on_pick(str(group))

    data = {"figure": json.dumps(figure), "config": CONFIG, "alt": alt, "keys": KEYS, "picked": list(picked)}
    CHART.draw(key, data, int(figure["layout"]["height"]), on_pick_change=point_picked)
