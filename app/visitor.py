"""Who looks at a page, and what they may do: by the settings, and with oidc by Streamlit's own login.

The pages ask ``role()``; what changes anything goes through app/acts.py, which asks it again.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from app.phrases import literal
from app.roles import role_of
from engine.settings import Settings
from store.access import Role


def claims() -> dict[str, Any]:
    """What the identity provider says of this visitor; empty where there is no login."""
    return dict(st.user) if "is_logged_in" in st.user else {}


def show_door(settings: Settings) -> bool:
    """Draw who is here and the way out; where nobody is let in yet, the way in instead. Whether the page may show."""
    if settings.auth == "off":
        return True
    if settings.auth == "readonly":
        st.caption(":material/visibility: Read-only: look, compare and share; nothing is launched here.")
        return True
    known = claims()
    role = role_of(settings, known)
    email = str(known.get("email") or "")
    if role is not Role.NOBODY:
        with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
            may = "may launch" if role is Role.RUNNER else "may look and share"
            st.caption(f":material/person: {literal(email)}, {may}", width="content")
            st.button("Sign out", type="tertiary", key="sign-out", on_click=st.logout)
        return True
    _, middle, _ = st.columns([1, 2, 1])
    with middle, st.container(border=True, horizontal_alignment="center"):
        st.subheader("Bitfront", text_alignment="center")
        if known.get("is_logged_in"):
            who = f"The address {literal(email)}" if email else "An account without an e-mail address"
            if email and known.get("email_verified", True) is not True:
                why = f"Your provider does not confirm the address {literal(email)}."
            else:
                why = f"{who} is not on the list of this Bitfront."
            st.error(f"{why} Ask whoever runs it, or sign in as somebody else.")
            st.button("Sign out", key="sign-out", on_click=st.logout)
        else:
            st.caption("Sign in to see the runs of this group.", text_alignment="center")
            st.button("Sign in", type="primary", key="sign-in", icon=":material/login:", on_click=st.login)
    return False
