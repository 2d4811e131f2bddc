"""Views: what people saved of the pages, and a report made of some of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import streamlit as st

from app import acts
from app.connection import ask_rows
from app.phrases import ago, count, literal
from app.report import report_html
from app.report_sections import section_of
from app.share import address, parameters_of
from engine.errors import BitfrontError

ICONS = {
    "compare": ":material/scatter_plot:",
    "runs": ":material/monitoring:",
    "launch": ":material/play_arrow:",
    "sweeps": ":material/grid_on:",
    "search": ":material/tune:",
}
MOST_VIEWS = 50

Row = dict[str, Any]  # a saved view, as the store's query `views` gives it


def show_empty() -> None:
    with st.container(border=True, horizontal_alignment="center"):
        st.subheader("No saved views yet", text_alignment="center")
        st.caption(
            "Share, on most pages, keeps what is shown under a title, for others to open.",
            text_alignment="center",
        )
        st.page_link("views/compare.py", label="Compare runs", icon=ICONS["compare"])


def act(change: Callable[[], object]) -> None:
    try:
        change()
    except BitfrontError as error:
        st.session_state["view_fault"] = str(error)
    else:
        st.session_state.pop("view_fault", None)


def save(view: str) -> None:
    """What the form of a view says."""
    state = st.session_state
    act(lambda: acts.edit_view(view, title=state[f"title-{view}"], note=state[f"note-{view}"] or None))


def show_view(row: Row) -> None:
    view = row["view"]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.page_link(
                f"views/{row['page']}.py",
                label=literal(row["title"]),
                icon=ICONS[row["page"]],
                query_params=[
                    *((name, value) for name, values in parameters_of(row["query"]).items() for value in values),
                    ("view", view),
                ],
            )
            st.caption(f"{row['page']} · {ago(row['created_at'], datetime.now(UTC))}", width="content")
        if row["note"]:
            st.markdown(literal(row["note"]))
        if acts.may_change():
            with st.popover("Edit", icon=":material/edit:", width="content"):
                st.text_input("Title", row["title"], key=f"title-{view}", max_chars=200)
                st.text_area("Note", row["note"] or "", key=f"note-{view}", max_chars=20_000)
                with st.container(horizontal=True):
                    st.button("Save", key=f"save-{view}", type="primary", on_click=save, args=(view,))
                    st.button(
                        "Forget this view",
                        key=f"delete-{view}",
                        icon=":material/delete:",
                        on_click=act,
                        args=(partial(acts.delete_view, view),),
                    )


def report(rows: list[Row], title: str, text: str, links: dict[str, str]) -> str:
    """The report's HTML, with what the store knows when somebody asks for it."""
    sections = [section_of(row, links[row["view"]]) for row in rows]
    return report_html(title, text, sections, datetime.now(UTC))


def show_report(rows: list[Row]) -> None:
    titles = {row["view"]: row for row in rows}
    st.subheader("Report")
    st.caption("One file with the charts alive: it opens from disk, without a server.")
    chosen = st.multiselect(
        "Views",
        list(titles),
        default=list(titles)[:8],
        format_func=lambda view: str(titles[view]["title"]) if view in titles else str(view),
        key="report-views",
    )
    with st.grid(2, min_column_width=260):
        title = st.text_input("Title", "Bitfront report", key="report-title")
        text = st.text_area("Text", key="report-text", height=90, placeholder="What the report says")
    picked = [titles[view] for view in chosen if view in titles]
    links = {row["view"]: address(row["page"], row["query"], view=row["view"]) for row in picked}
    st.download_button(
        f"Report of {count(len(picked), 'view')} (HTML)",
        partial(report, picked, title or "Bitfront report", text or "", links),
        "bitfront-report.html",
        "text/html",
        icon=":material/description:",
        key="report",
        on_click="ignore",
        disabled=not picked,
    )


st.title("Views")
text = st.query_params.get("words", "")
rows = ask_rows("views", text=text.lower(), limit=MOST_VIEWS)
if fault := st.session_state.get("view_fault"):
    st.error(literal(fault), icon=":material/error:")
if not rows and not text:
    show_empty()
else:
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.text_input("Search", key="words", bind="query-params", type="search", placeholder="title, note, page")
        for row in rows:
            show_view(row)
        if not rows:
            st.info("No view fits this search.", icon=":material/filter_alt_off:")
        elif len(rows) == MOST_VIEWS:
            st.caption(f"The newest {MOST_VIEWS} views that fit; search for others.")
    with right, st.container(border=True):
        show_report(rows)
