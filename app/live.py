"""Parts of a page that draw themselves again every few seconds, and drawing the whole page again from within one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec

import streamlit as st

from store.client import StoreUnavailable

P = ParamSpec("P")


def redraw() -> NoReturn:
    """Draw the whole page again, or the page that the person has asked for meanwhile.

    `st.rerun` alone puts the page that it is called in in the place of whatever the browser has asked for since, and a
    click on another page is lost. Any element before it lets Streamlit take that up first.
    """
    st.empty()
    st.rerun()


def live(seconds: float | None, part: Callable[P, None]) -> Callable[P, None]:
    """``part`` of a page, drawn again by itself every so many seconds (None: with the page only).

    While the store does not answer the whole page is drawn again, so that the outage is said once and not in each part.
    """

    @wraps(part)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            part(*args, **kwargs)
        except StoreUnavailable:
            redraw()

    return st.fragment(run_every=seconds)(drawn)
