"""Components of our own that draw with plotly in the browser.

The library is the page's own: where no ordinary chart has loaded it yet, the component loads Streamlit's part that has
it, which the browser keeps. Where that gives none (another Streamlit), the one that comes with the Python package is
sent: the component says that it wants it, and the run that follows sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import streamlit as st
from plotly.offline import get_plotlyjs
from streamlit.components.v2 import component

ASSETS = Path(__file__).parent / "assets"
LIBRARY = (ASSETS / "plotly_library.js").read_text()
PARTS = Path(st.__file__).parent / "static" / "static" / "js"
CHUNK = next((f"static/js/{path.name}" for path in PARTS.glob("PlotlyChart.*.js")), None)
"""Where a page of Streamlit's finds the part of it that brings plotly."""


class PlotlyComponent:
    """``script``: a file of app/assets whose component asks ``hasPlotly(component, again)`` before it draws."""

    def __init__(self, name: str, *, html: str, css: str, script: str) -> None:
        self.name, self.html, self.css = name, html, css
        self.script = LIBRARY + (ASSETS / script).read_text()

    def draw(
        self, key: str, data: Mapping[str, Any], height: int | Literal["content"], **callbacks: Callable[[], None]
    ) -> None:
        """Hand ``data`` to the component ``key``, ``height`` pixels high (or as its content is); ``on_…_change``: what
        is called when the component changes that state."""
        mounted = component(self.name, html=self.html, css=self.css, js=self.script, isolate_styles=False)
        wanted = (st.session_state.get(key) or {}).get("plotly") == "wanted"
        mounted(
            key=key,
            data={**data, "chunk": CHUNK, "plotly": get_plotlyjs() if wanted else None},
            height=height,
            on_plotly_change=_run_again,
            **callbacks,  # pyright: ignore[reportArgumentType]
        )


def _run_again() -> None:
    """The page wants the library, or holds it now: the run that follows sends it, or leaves it out."""
