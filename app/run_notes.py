"""What people say of a run: its name, tags and notes, shown to all and changed by those who may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app import acts
from app.connection import ask_rows
from app.phrases import literal
from engine.errors import BitfrontError


def show_notes(row: Mapping[str, Any]) -> None:
    """Draw the name, tags and notes of a run (a row of the query ``run``), and the form that changes them."""
    run = row["run"]
    if row["tags"]:
        st.markdown(" ".join(f":blue-badge[{literal(tag)}]" for tag in row["tags"]))
    if row["notes"]:
        st.markdown(literal(row["notes"]))
    if not acts.may_change():
        return
    known = [found["value"] for found in ask_rows("facets") if found["kind"] == "tag"]
    with st.popover("Name, tags and notes", icon=":material/edit_note:", width="content"):
        st.text_input("Name", row["name"] or "", key=f"name-{run}", max_chars=200)
        st.multiselect(
            "Tags",
            list(dict.fromkeys([*row["tags"], *known])),
            default=list(row["tags"]),
            key=f"tags-{run}",
            accept_new_options=True,
            placeholder="Pick or write",
        )
        st.text_area("Notes", row["notes"] or "", key=f"notes-{run}", height=140, max_chars=20_000)
        st.button("Save", type="primary", key=f"save-{run}", on_click=_save, args=(run,))
    if fault := st.session_state.get(f"fault-{run}"):
        st.error(literal(fault), icon=":material/error:", title="Not saved")


def _save(run: str) -> None:
    state = st.session_state
    try:
        acts.edit_run(
            run,
            name=state[f"name-{run}"] or None,
            tags=list(state[f"tags-{run}"]),
            notes=state[f"notes-{run}"] or None,
        )
    except BitfrontError as error:
        state[f"fault-{run}"] = str(error)
    else:
        state.pop(f"fault-{run}", None)
        st.toast("Saved.")
