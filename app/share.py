"""A page for others: its link, saved under a title with a note, and as a frame in another page."""

from __future__ import annotations

import html
from urllib.parse import parse_qs, urlencode, urlsplit

import streamlit as st

from app import acts
from app.connection import ask_rows, settings
from app.phrases import literal
from engine.errors import BitfrontError

OWN = ("view", "embed")
"""Parameters that say how a page is opened, not what it shows."""


def query_now() -> str:
    """What the page's address says after the question mark, without how it was opened."""
    names = [name for name in st.query_params if name not in OWN]
    return urlencode([(name, value) for name in names for value in st.query_params.get_all(name)])


def parameters_of(query: str) -> dict[str, list[str]]:
    """A query as parameters with their values."""
    return parse_qs(query, keep_blank_values=True)


def address(page: str, query: str, **more: str) -> str:
    """The whole address of a page here, as a browser reaches it."""
    parts = urlsplit(str(st.context.url or ""))
    base = settings().public_url or (f"{parts.scheme}://{parts.netloc}" if parts.netloc else "")
    query = "&".join(filter(None, [query, urlencode(more)]))
    return f"{base.rstrip('/')}/{page}" + (f"?{query}" if query else "")


def frame_text(url: str, title: str) -> str:
    """The HTML that shows an address in another page."""
    return (
        f'<iframe src="{html.escape(url)}" title="{html.escape(title)}" width="100%" height="640" '
        'style="border:0" loading="lazy"></iframe>'
    )


def show_share(page: str) -> None:
    """A button that opens the page's link, the form that saves it, and the frame."""
    with st.popover("Share", icon=":material/share:", width="content", on_change="rerun") as place:
        if not place.open:
            return
        query = query_now()
        st.caption("The link shows what is on this page now:")
        st.code(address(page, query), language=None, wrap_lines=True)
        _show_form(page, query)
        st.caption("In another page, charts only:")
        st.code(frame_text(address(page, query, embed="true"), "Bitfront"), language="html", wrap_lines=True)


def _show_form(page: str, query: str) -> None:
    if why := acts.why_not():
        st.caption(f":material/lock: {literal(why)}.")
        return
    with st.form(f"save-{page}", border=False, clear_on_submit=True):
        title = st.text_input("Save this view as", key="view-title", placeholder="Front on Cora", max_chars=200)
        note = st.text_area("Note", key="view-note", height=90, placeholder="What it shows", max_chars=20_000)
        asked = st.form_submit_button("Save view", icon=":material/bookmark_add:")
    if not asked:
        return
    try:
        view = acts.save_view(title or "", page, query, note or None)
    except BitfrontError as error:
        st.error(literal(error), icon=":material/error:")
        return
    st.success("Saved: it stands on the page Views.", icon=":material/bookmark_added:")
    st.code(address(page, query, view=view), language=None, wrap_lines=True)


def show_heading() -> None:
    """The title and note of the saved view that the link opens, if it opens one that is still there."""
    view = st.query_params.get("view")
    if not view:
        return
    for row in ask_rows("views", views=view):
        with st.container(border=True):
            st.markdown(f":material/bookmark: **{literal(row['title'])}**")
            if row["note"]:
                st.markdown(literal(row["note"]))


def is_embedded() -> bool:
    """Whether the page stands in another one, where only its charts are shown."""
    return bool(st.context.is_embedded)
