"""What must be said beside results on some datasets."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st

from app.phrases import literal

MIRROR_LOST = "The mirror of datasets cannot be read."
"""Said to those who may only look, who are not told where it lies."""


def show_caveats(caveats: Iterable[str | None]) -> None:
    """Each caveat once, in small print."""
    for caveat in dict.fromkeys(filter(None, caveats)):
        st.caption(f":material/info: {literal(caveat)}")
