"""System: whether all is well, who trains, what waits, what the files take, which versions, which data is here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import streamlit as st

from app import acts
from app.caveats import MIRROR_LOST
from app.connection import ask_frame, ask_rows, settings, store_health, uploads
from app.downloads import show_downloads
from app.live import live
from app.phrases import ago, count, literal, megabytes
from app.run_table import dataset_label, state_badge
from app.system_facts import (
    WORDS,
    Check,
    Dataset,
    Place,
    checks,
    datasets,
    disk_free,
    own_version,
    places,
    versions,
)
from app.theme import STATE_COLORS
from app.worker_table import alive_text, show_workers
from tasks.connection import QueueUnavailable
from tasks.standing import Standing, look

LIVE_SECONDS = 5
MOST_WAITING, MOST_LETTERS = 20, 50
MOST_WAITING_IN_FILE = 1000
"""As many as the store tells."""
KEPT_SECONDS = 60
"""How long it counts what the files take: a home may hold very many."""


@st.cache_data(ttl=KEPT_SECONDS, max_entries=1, show_spinner="Counting files…")
def storage_now(home: str) -> list[Place]:
    return places(settings())


@st.cache_data(ttl=KEPT_SECONDS, max_entries=1, show_spinner=False)
def datasets_now(home: str) -> tuple[list[Dataset], str | None]:
    return datasets(settings())


def queue_now() -> Standing | str:
    """How the queue stands, or why nobody can tell; its address and version are for those who may change something."""
    try:
        found = look(settings())
    except QueueUnavailable as error:
        return str(error) if acts.may_change() else "the queue does not answer"
    return found if acts.may_change() else replace(found, server=found.server.partition(" ")[0])


def is_home_here() -> bool:
    """Whether the store keeps its state in this machine's home."""
    return settings().database.expanduser().is_file()


def now() -> None:
    """The live part: health, workers, queue."""
    health, queue, workers = store_health(), queue_now(), ask_rows("workers")
    free, may_change = disk_free(settings()) if is_home_here() else None, acts.may_change()
    show_health(checks(health, queue, workers, own_version(), free, shows_letters=may_change))
    if health["dead_letters"] and may_change:
        show_letters()
    st.subheader(f"Workers: {alive_text(workers)}" if workers else "Workers")
    show_workers(workers, datetime.now(UTC))
    show_queue(queue, health["counts"])


def show_health(found: list[Check]) -> None:
    unwell = [check for check in found if not check.is_well]
    if unwell:
        names = ", ".join(check.name.lower() for check in unwell)
        st.warning(f"Not well: {names}.", icon=":material/warning:")
    else:
        st.success("All is well.", icon=":material/check_circle:")
    lines = {
        check.name: f"{':green-badge[well]' if check.is_well else ':orange-badge[look]'} {literal(check.said)}."
        for check in found
    }
    st.table(lines, border="horizontal")


def show_letters() -> None:
    """Events that could not be applied, with the reason: what they hold may name paths."""
    letters = ask_rows("dead_letters", limit=MOST_LETTERS)
    with st.expander("Events that could not be applied", icon=":material/report:"):
        st.dataframe(
            {
                "When": [row["received_at"] for row in letters],
                "Why": [row["reason"] for row in letters],
                "Run": [row["run"] for row in letters],
                "Came by": [row["source"] for row in letters],
            },
            hide_index=True,
            alt="Events that could not be applied, newest first",
            column_config={"When": st.column_config.DatetimeColumn(format="distance")},
        )


def show_queue(queue: Standing | str, counts: dict[str, int]) -> None:
    st.subheader("Queue")
    if counts:
        st.markdown(" ".join(state_badge(state, counts[state]) for state in STATE_COLORS if counts.get(state)))
    if isinstance(queue, str):
        st.error(literal(queue), icon=":material/cloud_off:")
    else:
        under_way = ", ".join(f"{count(n, 'message')} for {name}" for name, n in queue.messages.items())
        text = f"Under way to the workers: {under_way}. {count(queue.to_measure, 'run')} to measure."
        st.caption(f"{text} {count(queue.events, 'event')} in the stream, {megabytes(queue.memory)} in its memory.")
    waiting = ask_rows("waiting", limit=MOST_WAITING)
    if not waiting:
        st.caption("No run waits.")
        return
    st.dataframe(_waiting(waiting), hide_index=True, height="content", alt="The first runs in the queue")
    if waiting[0]["total"] > MOST_WAITING:
        st.caption(f"The first {MOST_WAITING} of {waiting[0]['total']}.")


def _waiting(rows: list[dict[str, Any]]) -> pd.DataFrame:
    moment = datetime.now(UTC)
    return pd.DataFrame(
        {
            "Place": [row["place"] for row in rows],
            "Scheme": [row["scheme"] for row in rows],
            "Dataset": [dataset_label(row["dataset"], row["synthetic"]) for row in rows],
            "Architecture": [row["model"] for row in rows],
            "Seed": [row["seed"] for row in rows],
            "Priority": [row["priority"] for row in rows],
            "Asks for": [row["device"] for row in rows],
            "Waits since": [ago(row["submitted_at"], moment) for row in rows],
            "Sweep": [row["sweep"] for row in rows],
        }
    )


def storage_table(found: Sequence[Place]) -> pd.DataFrame:
    """What each part of the home takes, without where it lies."""
    return pd.DataFrame(
        {
            "Part": [place.name for place in found],
            "Holds": [place.holds for place in found],
            "Files": [place.files for place in found],
            "Size (MB)": [place.size / 1e6 for place in found],
        }
    )


def show_storage() -> None:
    st.subheader("Storage")
    home = str(settings().home)
    if not is_home_here():
        st.caption("The store keeps its files on another machine: see this page there for what they take.")
    else:
        found = [place for place in storage_now(home) if place.files]
        total = sum(place.size for place in found)
        if acts.may_change():
            st.caption(f"{megabytes(total)} in {literal(settings().home.expanduser().absolute())}")
        st.dataframe(
            storage_table(found),
            hide_index=True,
            placeholder="",
            height="content",
            alt="What each part of the home takes",
            column_config={
                "Size (MB)": st.column_config.NumberColumn(format="%.2f", help="10⁶ bytes, as they were a minute ago."),
            },
        )
    rows = ask_rows("storage")
    with st.expander(f"Tables of the database ({sum(row['rows'] for row in rows):,} rows)", icon=":material/table:"):
        st.dataframe(
            {"Table": [row["name"] for row in rows], "Rows": [row["rows"] for row in rows]},
            hide_index=True,
            placeholder="",
            height="content",
            alt="Rows of each table",
            column_config={"Rows": st.column_config.NumberColumn(format="localized")},
        )


def versions_table() -> pd.DataFrame:
    """Bitfront's own; the services', the packages' and the machine's to those who may change something: in public they
    say which known faults to try."""
    found = {"Bitfront": own_version()}
    if acts.may_change():
        queue = queue_now()
        found = versions(store_health(), None if isinstance(queue, str) else queue)
    return pd.DataFrame({"What": list(found), "Version": list(found.values())})


def show_versions() -> None:
    st.subheader("Versions")
    if not acts.may_change():
        st.caption(f"Bitfront {literal(own_version())}")
        return
    st.dataframe(
        versions_table(),
        hide_index=True,
        placeholder="",
        height=388,
        alt="Versions of Bitfront, its services and packages, and the machine",
    )


def dataset_table(found: Sequence[Dataset]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Dataset": [row.name for row in found],
            "Where": [WORDS[row.where] for row in found],
            "Size (MB)": pd.array([None if row.size is None else row.size / 1e6 for row in found], dtype="Float64"),
            "What it is": [row.summary for row in found],
        }
    )


def show_data() -> None:
    st.subheader("Data on this machine")
    found, trouble = datasets_now(str(settings().home))
    if trouble:
        st.warning(literal(trouble) if acts.may_change() else MIRROR_LOST, icon=":material/folder_off:")
    here = sum(row.where == "here" for row in found)
    st.caption(f"{here} of {len(found)} datasets of the catalogue are here; the others come when a run first asks.")
    st.dataframe(
        dataset_table(found),
        hide_index=True,
        placeholder="",
        height=388,
        alt="Datasets of the catalogue and where they are",
        column_config={
            "Size (MB)": st.column_config.NumberColumn(format="%.1f", help="10⁶ bytes in the folder of datasets."),
        },
    )
    own = uploads()
    if own:
        st.markdown("**Uploaded**")
        st.dataframe(
            {
                "Name": [row["name"] or row["id"] for row in own],
                "Graphs": [row["graphs"] for row in own],
                "Nodes": [row["nodes"] for row in own],
                "Edges": [row["edges"] for row in own],
                "Features": [row["features"] for row in own],
                "Size (MB)": [row["size"] / 1e6 for row in own],
                "Names it in a run": [row["dataset"] for row in own],
            },
            hide_index=True,
            placeholder="",
            height="content",
            alt="Uploaded datasets, newest first",
            column_config={"Size (MB)": st.column_config.NumberColumn(format="%.2f")},
        )


def tables() -> dict[str, pd.DataFrame]:
    """What is on the page; times as they are, not as how long ago."""
    here = [place for place in storage_now(str(settings().home)) if place.files] if is_home_here() else []
    found, _ = datasets_now(str(settings().home))
    return {
        "Workers": ask_frame("workers"),
        "Waiting": ask_frame("waiting", limit=MOST_WAITING_IN_FILE),
        **({"Storage": storage_table(here)} if here else {}),
        "Tables": ask_frame("storage"),
        "Versions": versions_table(),
        "Datasets": dataset_table(found),
    }


st.title("System")
live(LIVE_SECONDS, now)()
left, right = st.columns([3, 2], gap="large")
with left:
    show_storage()
with right:
    show_versions()
show_data()
show_downloads(tables, "system")
