"""The dashboard's one way to the store, and what a page shows while the store does not answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import streamlit as st

from app.comparison.results import KnownSpecs
from app.live import redraw
from app.private import public, without_places
from app.roles import role_of
from app.visitor import claims
from engine.settings import Settings
from store.access import Role
from store.client import StoreClient, StoreUnavailable, connect

RETRY_SECONDS = 2


@st.cache_resource(max_entries=1, show_spinner=False)
def settings() -> Settings:
    """Where things are on this machine, read once a server."""
    return Settings()


@st.cache_resource(max_entries=2, show_spinner=False)
def _client(as_viewer: bool = True) -> StoreClient:
    """Reading goes with the viewers' token, so that no fault of a page can make it write."""
    return connect(settings(), as_viewer=as_viewer)


def is_public() -> bool:
    """Whether the visitor may only look, and is told nothing private (``app.private``)."""
    return role_of(settings(), claims()) is not Role.RUNNER


def ask(query: str, **parameters: Any) -> pa.Table:
    """The answer to a named query, without what is private where the visitor may only look: whoever keeps it for other
    visitors keeps it by ``is_public()`` too. Raises StoreUnavailable, after one fresh try at the store's present
    address."""
    try:
        found = _client().query(query, **parameters)
    except StoreUnavailable:
        _client.clear()
        found = _client().query(query, **parameters)
    return public(found) if is_public() else found


def ask_rows(query: str, **parameters: Any) -> list[dict[str, Any]]:
    """The same as rows by column; what the store does not know is None."""
    return ask(query, **parameters).to_pylist()


@st.cache_resource(max_entries=1, show_spinner=False)
def known_specs() -> KnownSpecs:
    """The specs of groups that any visitor has seen: a group's id is a hash of its spec."""
    return KnownSpecs()


def ask_frame(query: str, **parameters: Any) -> pd.DataFrame:
    """The same as a data frame, for charts and sums."""
    return ask(query, **parameters).to_pandas()


def store_health() -> dict[str, Any]:
    """How the store does: ``trouble`` in words, ``redis`` "connected" or not. Raises StoreUnavailable."""
    return _client().health()


def uploads() -> list[dict[str, Any]]:
    """Every uploaded dataset, newest first. Raises StoreUnavailable."""
    try:
        return _client().uploads()
    except StoreUnavailable:
        _client.clear()
        return _client().uploads()


def upload(files: Mapping[str, bytes], kind: str, name: str, labels: str) -> dict[str, Any]:
    """Have the store check and keep a dataset's files. Raises InputError with the row, StoreUnavailable."""
    return _client(as_viewer=False).upload(files, kind, name, labels)


def edit_run(run: str, **changes: Any) -> None:
    """Change a run's name, tags or notes. Raises InputError, StoreUnavailable."""
    _client(as_viewer=False).edit_run(run, **changes)


def add_view(title: str, page: str, query: str, note: str | None) -> str:
    """Keep a view of a page; its id. Raises InputError, StoreUnavailable."""
    return _client(as_viewer=False).add_view(title, page, query, note)


def edit_view(view: str, **changes: Any) -> None:
    """Change a saved view's title or note. Raises InputError, StoreUnavailable."""
    _client(as_viewer=False).edit_view(view, **changes)


def delete_view(view: str) -> None:
    """Forget a saved view. Raises InputError, StoreUnavailable."""
    _client(as_viewer=False).delete_view(view)


def artifacts(run: str) -> list[dict[str, Any]]:
    """{attempt, name, bytes} of each file that the store has of a run, newest attempt first."""
    return _client().artifacts(run)


def read_artifact(run: str, attempt: int, name: str) -> bytes:
    """A file that an attempt of a run has left with the store. Raises InputError where there is none."""
    return _client().read_artifact(run, attempt, name)


def show_outage(error: StoreUnavailable) -> None:
    """Say that the store does not answer, and load the page again as soon as it does."""
    st.error(without_places(str(error)) if is_public() else str(error), icon=":material/cloud_off:")
    st.caption("Nothing is lost: runs go on, and this page comes back by itself. It tries again every two seconds.")
    st.button("Try again now", icon=":material/refresh:", key="retry")
    _watch()


@st.fragment(run_every=RETRY_SECONDS)
def _watch() -> None:
    try:
        connect(settings(), as_viewer=True).close()
    except StoreUnavailable:
        return
    _client.clear()
    redraw()
