"""Who may talk to the store: the token that writing needs, and the host names that it answers to."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from engine.settings import Settings

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})


def token_file(settings: Settings) -> Path:
    """Where the home keeps its token."""
    return settings.home / "store.token"


def read_token(settings: Settings) -> str | None:
    """The token of the settings, else the home's; None where there is none (or it may not be read)."""
    if settings.store_token:
        return settings.store_token
    try:
        return token_file(settings).read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def ensure_token(settings: Settings) -> str:
    """The token, made and kept (readable by its owner only) where there is none."""
    token = read_token(settings)
    if token is None:
        token = secrets.token_urlsafe(32)
        path = token_file(settings)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(token)
        part.replace(path)
    return token


def is_authorized(header: str | None, token: str) -> bool:
    """Whether an Authorization header carries the token (compared in constant time)."""
    scheme, _, given = (header or "").partition(" ")
    return scheme.lower() == "bearer" and secrets.compare_digest(given.strip().encode(), token.encode())


def is_known_host(header: str | None, allowed: Iterable[str]) -> bool:
    """Whether a Host header names this service: any other is a page that had its own name point here."""
    host = (header or "").strip().lower()
    name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
    return name in LOOPBACK or name in {name.lower() for name in allowed}
