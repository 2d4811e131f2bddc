"""Components of our own that draw with plotly in the browser.

The library is the page's own where an ordinary chart has loaded it, else the one that comes with the Python package,
sent once a page: a component that finds none says so, and the run that follows sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from plotly.offline import get_plotlyjs
from streamlit.components.v2 import component

ASSETS = Path(__file__).parent / "assets"
LIBRARY = (ASSETS / "plotly_library.js").read_text()


class PlotlyComponent:
    """``script``: a file of app/assets whose component asks ``hasPlotly(component)`` before it draws."""

    def __init__(self, name: str, *, html: str, css: str, script: str) -> None:
        self.name, self.html, self.css = name, html, css
        self.script = LIBRARY + (ASSETS / script).read_text()

    def draw(self, key: str, data: Mapping[str, Any], height: int) -> None:
        """Hand ``data`` to the component ``key``, ``height`` pixels high."""
        mounted = component(self.name, html=self.html, css=self.css, js=self.script, isolate_styles=False)
        wanted = (st.session_state.get(key) or {}).get("library") == "wanted"
        mounted(
            key=key,
            data={**data, "library": get_plotlyjs() if wanted else None},
            height=height,
            on_library_change=_run_again,
        )


def _run_again() -> None:
    """The page wants the library, or holds it now: the run that follows sends it, or leaves it out."""
