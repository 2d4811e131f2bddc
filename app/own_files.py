"""The part of the Launch page that takes a person's own files and picks among those that were uploaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import streamlit as st

from app import acts
from app.connection import uploads
from app.phrases import count, literal
from engine.datasets import Dataset
from engine.errors import BitfrontError, InputError
from store.client import StoreUnavailable

FORMS = {
    "file": "**nodes.csv** (columns id, y, features, optionally split) and **edges.csv** (columns source, target), "
    "or one **.npz** with x, edge_index, y and optionally train_mask, val_mask, test_mask.",
    "folder": "For each graph **NAME.npz** (x, edge_index, y), or **NAME.nodes.csv** and **NAME.edges.csv**; "
    "and **graphs.csv** with the columns graph, y and optionally split.",
}


def _key(entry: Dataset, option: str) -> str:
    """What an option is called in the link (app.forms.field_key)."""
    return f"dataset.{entry.name}.{option}"


def named(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files under the names that are read: two tables of which one is of nodes and one of edges are known by it."""
    tables = {part: [name for name in files if part in name.lower()] for part in ("node", "edge")}
    nodes, edges = tables["node"], tables["edge"]
    if len(files) == 2 and len(nodes) == len(edges) == 1 and nodes != edges:
        return {"nodes.csv": files[nodes[0]], "edges.csv": files[edges[0]]}
    return dict(files)


def choose_own_files(entry: Dataset, take_task: Callable[[str], None]) -> dict[str, Any]:
    """Draw the uploader and the list of uploads; gives the options that name the picked one.

    ``take_task`` is called with the task that fits the labels when another upload is picked or a new one is there.
    """
    if not acts.may_change():
        st.caption(":material/lock: You may pick among what is uploaded, not upload.")
    else:
        _choose_files(entry, take_task)
    found = _kept(entry.name)
    key = _key(entry, "upload")
    # Bound by hand: Streamlit would write the option's text into the link, where the id belongs.
    asked = st.session_state.setdefault(key, st.query_params.get(key))
    if asked and asked not in found:
        st.warning(f"The upload {literal(asked)} is not here: upload its files again.", icon=":material/search_off:")
        st.session_state[key] = None
    if not found:
        st.caption("No files are uploaded yet.")
        return {}
    picked = st.selectbox(
        "Uploaded",
        list(found),
        index=None,
        format_func=lambda upload: _label(found[upload]),
        key=key,
        placeholder="Pick uploaded files",
        on_change=lambda: take_task(entry.task_for(found.get(st.session_state[key]) or {})),
    )
    if not picked:
        st.query_params.pop(key, None)
        return {}
    st.query_params[key] = picked
    return {"upload": picked, "labels": found[picked]["labels"]}


def _choose_files(entry: Dataset, take_task: Callable[[str], None]) -> None:
    """Draw the uploader."""
    with st.expander("Upload files", expanded=not _kept(entry.name)):
        st.caption(FORMS[entry.name])
        given = st.file_uploader("Files", type=["csv", "npz"], accept_multiple_files=True, key=f"files.{entry.name}")
        field = entry.spec.model_fields["labels"]
        left, right = st.columns(2, vertical_alignment="bottom")
        labels = left.segmented_control(
            "Labels",
            get_args(field.annotation),
            default=field.default,
            required=True,
            key=_key(entry, "labels"),
            help=field.description,
        )
        name = right.text_input("Called", value="my graph" if entry.name == "file" else "my graphs", max_chars=120)
        wanted = f"Upload {count(len(given), 'file')}" if given else "Upload"
        if st.button(wanted, icon=":material/upload:", key=f"upload.{entry.name}", disabled=not given):
            kept = _upload({file.name: file.getvalue() for file in given}, entry.name, name, str(labels))
            if kept:
                st.session_state[_key(entry, "upload")] = kept["id"]
                take_task(entry.task_for(kept))
        _say()


def _upload(files: Mapping[str, bytes], kind: str, name: str, labels: str) -> dict[str, Any] | None:
    try:
        with st.spinner("Checking the files…"):
            found = acts.upload(named(files), kind, name, labels)
    except BitfrontError as error:
        st.session_state["upload_said"] = (False, str(error))
        return None
    st.session_state["upload_said"] = (True, f"Uploaded {_label(found)}.")
    return found


def _say() -> None:
    fine, text = st.session_state.pop("upload_said", (True, ""))
    if text and fine:
        st.success(literal(text), icon=":material/check:")
    elif text:
        st.error(literal(text), icon=":material/error:", title="Not uploaded")


def _kept(kind: str) -> dict[str, dict[str, Any]]:
    try:
        return {row["id"]: row for row in uploads() if row["kind"] == kind}
    except (StoreUnavailable, InputError) as error:
        st.error(literal(error), icon=":material/cloud_off:")
        return {}


def _label(row: Mapping[str, Any]) -> str:
    graphs = f"{count(row['graphs'], 'graph')}, " if row["graphs"] > 1 else ""
    return f"{row['name']}: {graphs}{count(row['nodes'], 'node')}, {count(row['edges'], 'edge')} ({row['id']})"
