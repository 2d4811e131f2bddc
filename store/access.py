"""Who may do what at the store: two roles, the tokens that give them, and the host names that it answers to.

The rules are those of the dashboard (`BITFRONT_AUTH`), held here for whoever comes past it:

=========  ===================  ====================  =================
           no token             the viewers' token    the store's token
=========  ===================  ====================  =================
off        reads                reads                 reads and writes
oidc       nothing              reads                 reads and writes
readonly   reads                reads                 reads
=========  ===================  ====================  =================
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from engine.errors import InputError
from engine.settings import Settings, read_secret, write_secret

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})


class Role(IntEnum):
    """What somebody may do; each may do what those before it may."""

    NOBODY = 0
    VIEWER = 1
    """Reads, and shares what is read."""
    RUNNER = 2
    """Launches, cancels, uploads, edits."""


@dataclass(frozen=True)
class Tokens:
    """The secrets of one store."""

    runner: str = field(repr=False)
    viewer: str = field(repr=False)


def viewer_token_file(settings: Settings) -> Path:
    """Where the home keeps the token that only reads."""
    return settings.home.expanduser() / "store.viewer.token"


def read_token(settings: Settings) -> str | None:
    """The token of the settings, else the home's; None where there is none (or it may not be read)."""
    return settings.read_store_token()


def read_viewer_token(settings: Settings) -> str | None:
    """The token that only reads, as ``read_token``."""
    return settings.viewer_token or read_secret(viewer_token_file(settings))


def ensure_tokens(settings: Settings) -> Tokens:
    """Both tokens, made and kept (readable by their owner only) where there are none. Raises InputError."""
    runner = read_token(settings) or _make(settings.store_token_file)
    viewer = read_viewer_token(settings) or _make(viewer_token_file(settings))
    if secrets.compare_digest(runner.encode(), viewer.encode()):
        raise InputError("BITFRONT_STORE_VIEWER_TOKEN equals BITFRONT_STORE_TOKEN: viewers could write; give two")
    return Tokens(runner, viewer)


def role_of(header: str | None, auth: str, tokens: Tokens) -> Role:
    """What the bearer of an Authorization header may do (compared in constant time)."""
    scheme, _, given = (header or "").partition(" ")
    bearer = given.strip().encode() if scheme.lower() == "bearer" else b""
    runs = secrets.compare_digest(bearer, tokens.runner.encode())
    views = secrets.compare_digest(bearer, tokens.viewer.encode())
    if auth == "readonly":
        return Role.VIEWER
    if runs:
        return Role.RUNNER
    return Role.VIEWER if views or auth == "off" else Role.NOBODY


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address that one listens on."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_reach(settings: Settings, host: str) -> None:
    """Raise InputError where other machines would reach ``host`` and nothing says who may do what."""
    if settings.auth != "off" or settings.open_to_network or is_loopback(settings.published or host):
        return
    raise InputError(
        f"the address {settings.published or host} is not allowed with BITFRONT_AUTH=off: whoever reaches it could do "
        "everything; set BITFRONT_AUTH to oidc or readonly, or BITFRONT_OPEN_TO_NETWORK=true to allow it"
    )


def _make(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_secret(path, token)
    return token


def is_known_host(header: str | None, allowed: Iterable[str]) -> bool:
    """Whether a Host header names this service: any other is a page that had its own name point here."""
    host = (header or "").strip().lower()
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name in LOOPBACK or name in {name.lower() for name in allowed}
