"""A table that is taken over into the Launch page: into the form where that can say it, else as the sweep's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.clone import PARENT
from app.launching.elsewhere import toml_text
from app.launching.filling import BASIC, CLONED, DETAIL, FILE, NotInTheForm, form_values
from app.launching.form import fill

TEXT, OF_FORM, OF_SWEEP, FORM = "sweep-file", "sweep-file-of-form", "file-of", "form-as-file"
"""In the session: the text of the sweep's file; what the form had made of it, and which sweep's it is; the form as a
file."""


def take_table(table: Mapping[str, Any]) -> None:
    """Begin with this table, in a callback: what the page was cloned from is no longer its parent."""
    state = st.session_state
    for key in (PARENT, CLONED):
        st.query_params.pop(key, None)
    for key in ("launched", OF_SWEEP):
        state.pop(key, None)
    try:
        fill(form_values(table))
    except NotInTheForm:
        state[TEXT] = toml_text(table)
        state[DETAIL] = FILE
    else:
        state[TEXT] = state[OF_FORM] = ""
        if state.get(DETAIL) == FILE:
            state[DETAIL] = BASIC


def take_form() -> None:
    """Before the file is drawn: the form as it is now, unless somebody has written something else."""
    state = st.session_state
    form = state.get(FORM, "")
    if state.get(TEXT, "") == state.get(OF_FORM, "") != form or TEXT not in state:
        state[TEXT] = state[OF_FORM] = form
