"""Who may do what at the dashboard: the lists of people, and the role that an identity provider's claims give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.settings import Settings
from store.access import Role


@dataclass(frozen=True)
class Lists:
    """Who is let in, by e-mail address; ``*@example.org`` is everybody of a domain."""

    runners: frozenset[str]
    viewers: frozenset[str]

    @classmethod
    def of(cls, settings: Settings) -> Lists:
        return cls(_entries(settings.runners), _entries(settings.viewers))

    @property
    def anybody(self) -> bool:
        return bool(self.runners or self.viewers)

    def role(self, email: str) -> Role:
        """The role of an address, whose case does not count."""
        email = email.strip().lower()
        name, at, domain = email.rpartition("@")
        if not name or not at or not domain:
            return Role.NOBODY
        names = {email, f"*@{domain}"}
        if names & self.runners:
            return Role.RUNNER
        return Role.VIEWER if names & self.viewers else Role.NOBODY


def _entries(text: str) -> frozenset[str]:
    return frozenset(entry.strip().lower() for entry in text.split(",") if entry.strip())


def role_of(settings: Settings, claims: Mapping[str, Any]) -> Role:
    """The role of somebody with these claims of the identity provider (empty: not signed in)."""
    if settings.auth == "off":
        return Role.RUNNER
    if settings.auth == "readonly":
        return Role.VIEWER
    if claims.get("is_logged_in") is not True or claims.get("email_verified", True) is not True:
        return Role.NOBODY
    return Lists.of(settings).role(str(claims.get("email") or ""))
