"""Starts the dashboard's server: ``python -m app.serve --host H --port P``.

It refuses an address that other machines reach where nothing says who may do what, hands the identity provider's
settings to Streamlit's login in a file that only this user reads, and then becomes Streamlit.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import app
from app.roles import Lists
from engine.errors import BitfrontError, InputError
from engine.settings import Settings, read_secret, write_secret
from store.access import check_reach, is_loopback

SOURCE = Path(app.__file__).parent
"""Where this package lies; Streamlit is started in its parent, where its settings are."""
CALLBACK = "oauth2callback"
PARTS = {
    "BITFRONT_OIDC_METADATA_URL": "oidc_metadata_url",
    "BITFRONT_OIDC_CLIENT_ID": "oidc_client_id",
    "BITFRONT_OIDC_CLIENT_SECRET": "oidc_client_secret",
    "BITFRONT_PUBLIC_URL": "public_url",
}
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
READ_ONLY_UPLOAD = 1
"""MiB that Streamlit's own upload path takes where nobody may upload."""


def check(settings: Settings, host: str) -> None:
    """Raise InputError where the dashboard must not listen on this address, or where its login is incomplete."""
    check_reach(settings, host)
    if settings.auth != "oidc":
        return
    missing = [name for name, field in PARTS.items() if not getattr(settings, field)]
    if missing:
        raise InputError(f"BITFRONT_AUTH=oidc needs {', '.join(PARTS)}: set {', '.join(missing)}")
    for name, url in (
        ("BITFRONT_PUBLIC_URL", settings.public_url),
        ("BITFRONT_OIDC_METADATA_URL", settings.oidc_metadata_url),
    ):
        parts = urlsplit(url or "")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{name} = {url!r} is no address: give one such as https://bitfront.example.org")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise InputError(f"{name} = {url!r} is not allowed: a login crosses the network by https only")
    if not Lists.of(settings).anybody:
        raise InputError(
            "BITFRONT_AUTH=oidc lets nobody in: name people in BITFRONT_RUNNERS (launch, cancel, upload) or "
            "BITFRONT_VIEWERS (look and share), such as ada@example.org,*@lab.example.org"
        )


def write_login(settings: Settings) -> Path:
    """Write what Streamlit's login reads, for this user only; gives its path. The cookies' key stays as it is."""
    folder = settings.home.expanduser().absolute() / "run"
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "redirect_uri": f"{(settings.public_url or '').rstrip('/')}/{CALLBACK}",
        "cookie_secret": _cookie_secret(settings),
        "client_id": settings.oidc_client_id,
        "client_secret": settings.oidc_client_secret,
        "server_metadata_url": settings.oidc_metadata_url,
    }
    # A JSON string is a TOML string too, once DEL is out of it.
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    return write_secret(folder / "secrets.toml", "\n".join(["[auth]", *lines, ""]))


def command(settings: Settings, host: str, port: int) -> list[str]:
    """Streamlit's command line for these settings."""
    options = {
        "server.port": str(port),
        "server.address": host,
        "server.headless": "true",
        "browser.gatherUsageStats": "false",
    }
    if settings.auth == "readonly":
        options["server.maxUploadSize"] = str(READ_ONLY_UPLOAD)
    if settings.auth == "oidc":
        options["secrets.files"] = str(write_login(settings))
    return [
        *(sys.executable, "-m", "streamlit", "run", str(SOURCE / "dashboard.py")),
        *(f"--{name}={value}" for name, value in options.items()),
        *(f"--server.allowedHosts={name}" for name in host_names(settings, host)),
    ]


def host_names(settings: Settings, host: str) -> list[str]:
    """The names that browsers may use for the dashboard.

    With ``off``, whoever reaches it may do everything: without this a web page could have its own name point at
    loopback, and then read and launch as the person who looks at it. Elsewhere the role protects, not the name.
    """
    if settings.auth != "off" or settings.open_to_network:
        return ["*"]
    public = urlsplit(settings.public_url or "").hostname
    return [*dict.fromkeys([*LOOPBACK_NAMES, host.strip("[]"), *([public] if public else [])])]


def main(arguments: Sequence[str] | None = None) -> int:
    """Become the dashboard's server; a fault in the settings is one sentence and exit code 2."""
    parser = argparse.ArgumentParser(prog="python -m app.serve", description="Serve the dashboard.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8501)
    asked = parser.parse_args(arguments)
    settings = Settings()
    try:
        check(settings, asked.host)
        line = command(settings, asked.host, asked.port)
    except BitfrontError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"the home {settings.home} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    os.chdir(SOURCE.parent)
    os.execv(line[0], line)


def _cookie_secret(settings: Settings) -> str:
    """The key that signs people's cookies, made once: with another one everybody would have to sign in again."""
    path = settings.home.expanduser().absolute() / "cookie.secret"
    found = read_secret(path)
    if found is None:
        found = secrets.token_urlsafe(48)
        write_secret(path, found)
    return found


if __name__ == "__main__":
    sys.exit(main())
