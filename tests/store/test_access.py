"""Who may talk to the store."""

from __future__ import annotations

import pytest

from engine.settings import Settings
from store.access import ensure_token, is_authorized, is_known_host, read_token


def test_the_token_is_made_once(settings: Settings) -> None:
    assert read_token(settings) is None
    token = ensure_token(settings)
    assert ensure_token(settings) == read_token(settings) == token


@pytest.mark.parametrize(
    ("header", "allowed"),
    [("Bearer abc", True), ("bearer abc", True), ("Bearer abd", False), ("abc", False), ("", False), (None, False)],
)
def test_a_header_must_carry_the_token(header: str | None, allowed: bool) -> None:
    assert is_authorized(header, "abc") is allowed


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ("localhost:80", True),
        ("127.0.0.1", True),
        ("[::1]:9000", True),
        ("STORE:1", True),
        ("localhost.evil.example", False),
        ("127.0.0.1.nip.io:80", False),
        ("", False),
        (None, False),
    ],
)
def test_only_known_host_names_are_answered(header: str | None, known: bool) -> None:
    assert is_known_host(header, ["store"]) is known
