"""Who may talk to the store, and from where."""

from __future__ import annotations

import stat

import pytest

from engine.errors import InputError
from engine.settings import Settings
from store.access import (
    Role,
    Tokens,
    check_reach,
    ensure_tokens,
    is_known_host,
    is_loopback,
    read_token,
    read_viewer_token,
    role_of,
    viewer_token_file,
)

TOKENS = Tokens(runner="run-secret", viewer="view-secret")


def test_the_tokens_are_made_once_and_only_their_owner_reads_them(settings: Settings) -> None:
    assert read_token(settings) is None
    made = ensure_tokens(settings)
    assert ensure_tokens(settings) == made == Tokens(read_token(settings) or "", read_viewer_token(settings) or "")
    assert made.runner != made.viewer
    for path in (settings.store_token_file, viewer_token_file(settings)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made.runner not in repr(made)


def test_one_token_for_both_roles_is_refused(settings: Settings) -> None:
    same = settings.model_copy(update={"store_token": "same", "viewer_token": "same"})
    with pytest.raises(InputError) as refusal:
        ensure_tokens(same)
    assert str(refusal.value) == (
        "BITFRONT_STORE_VIEWER_TOKEN equals BITFRONT_STORE_TOKEN: viewers could write; give two"
    )


@pytest.mark.parametrize(
    ("header", "off", "oidc"),
    [
        ("Bearer run-secret", Role.RUNNER, Role.RUNNER),
        ("bearer run-secret", Role.RUNNER, Role.RUNNER),
        ("Bearer view-secret", Role.VIEWER, Role.VIEWER),
        ("Bearer run-secre", Role.VIEWER, Role.NOBODY),
        ("Bearer run-secret2", Role.VIEWER, Role.NOBODY),
        ("Basic run-secret", Role.VIEWER, Role.NOBODY),
        ("run-secret", Role.VIEWER, Role.NOBODY),
        ("Bearer", Role.VIEWER, Role.NOBODY),
        ("Bearer ünïcode", Role.VIEWER, Role.NOBODY),
        ("", Role.VIEWER, Role.NOBODY),
        (None, Role.VIEWER, Role.NOBODY),
    ],
)
def test_the_token_gives_the_role(header: str | None, off: Role, oidc: Role) -> None:
    assert role_of(header, "off", TOKENS) is off
    assert role_of(header, "oidc", TOKENS) is oidc
    assert role_of(header, "readonly", TOKENS) is Role.VIEWER


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


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("[::1]", True),
        ("LOCALHOST", True),
        ("0.0.0.0", False),
        ("::", False),
        ("", False),
        ("10.0.0.7", False),
        ("example.org", False),
        ("localhost.example.org", False),
    ],
)
def test_what_counts_as_this_machine_only(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_off_listens_where_only_this_machine_reaches_it_unless_told_so(settings: Settings) -> None:
    check_reach(settings, "127.0.0.1")
    with pytest.raises(InputError) as refusal:
        check_reach(settings, "0.0.0.0")
    assert str(refusal.value) == (
        "the address 0.0.0.0 is not allowed with BITFRONT_AUTH=off: whoever reaches it could do everything; "
        "set BITFRONT_AUTH to oidc or readonly, or BITFRONT_OPEN_TO_NETWORK=true to allow it"
    )
    for told in ({"open_to_network": True}, {"auth": "oidc"}, {"auth": "readonly"}, {"published": "127.0.0.1"}):
        check_reach(settings.model_copy(update=told), "0.0.0.0")


def test_a_container_is_judged_by_the_address_at_which_its_port_is_published(settings: Settings) -> None:
    with pytest.raises(InputError, match=r"^the address 192\.168\.1\.5 is not allowed with BITFRONT_AUTH=off"):
        check_reach(settings.model_copy(update={"published": "192.168.1.5"}), "127.0.0.1")
