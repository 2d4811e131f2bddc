"""Who may do what, by the claims of an identity provider and the lists of people."""

from __future__ import annotations

from typing import Any

import pytest

from app.roles import Lists, role_of
from engine.settings import Settings
from store.access import Role

LISTS = {"auth": "oidc", "runners": " Ada@Example.org ,*@lab.example.org", "viewers": "vera@example.org,*@example.net"}


@pytest.mark.parametrize(
    ("email", "role"),
    [
        ("ada@example.org", Role.RUNNER),
        ("ADA@EXAMPLE.ORG", Role.RUNNER),
        ("anybody@lab.example.org", Role.RUNNER),
        ("vera@example.org", Role.VIEWER),
        ("x@example.net", Role.VIEWER),
        ("bob@example.org", Role.NOBODY),
        ("x@evil.lab.example.org", Role.NOBODY),
        ("x@example.org@example.net", Role.VIEWER),
        ("*@lab.example.org.evil", Role.NOBODY),
        ("@lab.example.org", Role.NOBODY),
        ("ada@", Role.NOBODY),
        ("", Role.NOBODY),
    ],
)
def test_an_address_has_the_role_of_its_list(settings: Settings, email: str, role: Role) -> None:
    assert Lists.of(settings.model_copy(update=LISTS)).role(email) is role


def test_a_runner_who_is_also_a_viewer_is_a_runner(settings: Settings) -> None:
    both = settings.model_copy(update={"runners": "ada@example.org", "viewers": "*@example.org"})
    assert Lists.of(both).role("ada@example.org") is Role.RUNNER


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({}, Role.NOBODY),
        ({"is_logged_in": False}, Role.NOBODY),
        ({"email": "ada@example.org"}, Role.NOBODY),
        ({"is_logged_in": "yes", "email": "ada@example.org"}, Role.NOBODY),
        ({"is_logged_in": True}, Role.NOBODY),
        ({"is_logged_in": True, "email": None}, Role.NOBODY),
        ({"is_logged_in": True, "email": "ada@example.org"}, Role.RUNNER),
        ({"is_logged_in": True, "email": "ada@example.org", "email_verified": True}, Role.RUNNER),
        ({"is_logged_in": True, "email": "ada@example.org", "email_verified": False}, Role.NOBODY),
        ({"is_logged_in": True, "email": "ada@example.org", "email_verified": "false"}, Role.NOBODY),
    ],
)
def test_only_a_signed_in_and_verified_address_counts(settings: Settings, claims: dict[str, Any], role: Role) -> None:
    assert role_of(settings.model_copy(update=LISTS), claims) is role


def test_without_a_login_everybody_has_the_same_role(settings: Settings) -> None:
    pretended = {"is_logged_in": True, "email": "ada@example.org"}
    for claims in ({}, pretended):
        assert role_of(settings, claims) is Role.RUNNER
        assert role_of(settings.model_copy(update=LISTS | {"auth": "readonly"}), claims) is Role.VIEWER
