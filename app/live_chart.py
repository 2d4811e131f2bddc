"""The chosen runs as they go: a line each in a table, and charts that are drawn on, not drawn anew.

``st.plotly_chart`` puts a new chart in place of the old one whenever the figure changes, key or no key
(Streamlit 1.67): at each new point it would blink, and a zoom would be lost. This component keeps its charts and hands
them their points by ``Plotly.react``; with the figure's ``uirevision`` unchanged, plotly keeps the zoom. It also keeps
the points, so that a page is sent each of them once (app/live_points.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.charts.layout import CONFIG
from app.plotly_component import PlotlyComponent

HTML = """
<div class="live-runs">
  <div class="live-table" role="region" tabindex="0"><table></table></div>
  <div class="live-charts"></div>
</div>
"""
CSS = """
.live-runs { font-family: var(--st-font); color: var(--st-text-color); font-size: 0.875rem; }
.live-table { overflow: auto; max-height: 19rem; border: 1px solid var(--st-border-color);
  border-radius: var(--st-base-radius); }
.live-table table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.live-table th, .live-table td { padding: 0.3rem 0.6rem; text-align: left; white-space: nowrap; }
.live-table td.number, .live-table th.number { text-align: right; }
.live-table thead th { position: sticky; top: 0; z-index: 1; font-weight: 500;
  background: var(--st-secondary-background-color); }
.live-table tbody tr + tr > * { border-top: 1px solid var(--st-border-color-light, var(--st-border-color)); }
.live-table tbody th { font-weight: 500; }
.live-swatch { display: inline-block; width: 0.9rem; height: 0.2rem; margin-right: 0.5rem; vertical-align: middle;
  border-radius: 1px; }
.live-state { padding: 0.05rem 0.45rem; border-radius: 0.6rem; font-size: 0.8rem; }
.live-progress { display: inline-block; width: 5rem; height: 0.4rem; margin-right: 0.6rem; vertical-align: middle;
  border-radius: 0.2rem; background: var(--st-border-color); overflow: hidden; }
.live-progress > span { display: block; height: 100%; background: var(--st-primary-color); }
.live-charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1rem;
  margin-top: 0.75rem; }
.live-charts:empty { display: none; }
.live-chart { min-width: 0; overflow: hidden; }
.live-chart .modebar { opacity: 0.6; }
"""
CHART = PlotlyComponent("bitfront_live_chart", html=HTML, css=CSS, script="live_chart.js")


def live_chart(
    message: Mapping[str, Any],
    table: Mapping[str, Any],
    alts: Sequence[str],
    key: str,
    *,
    smoothing: float,
    on_behind: Callable[[], None],
) -> None:
    """Draw a message (``LivePoints.message``) and the runs' table; ``alts``: a text a chart. ``on_behind`` is called,
    and the part drawn again, where the page has missed a message."""
    data = {"message": dict(message), "table": dict(table), "alts": list(alts), "smoothing": smoothing}
    CHART.draw(key, {**data, "config": CONFIG}, "content", on_behind_change=on_behind)
