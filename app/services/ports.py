"""Ports on this machine: a free one, and whether one is taken."""

from __future__ import annotations

import errno
import socket

from engine.errors import BitfrontError, InputError

HOST = "127.0.0.1"
DASHBOARD = 8501
"""The dashboard's port unless asked otherwise; the next free one where it is taken."""


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def is_free(port: int) -> bool:
    """Whether we could listen on it. Raises BitfrontError where this user may not use it at all."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EPERM):
                raise BitfrontError(f"port {port} needs more rights than you have: choose one above 1023") from None
            return False
    return True


def dashboard_port(asked: int | None) -> int:
    """The port that was asked for (0: any free one), else the default or the next free one.

    Raises InputError for a number that is no port, BitfrontError for one that is taken.
    """
    if asked == 0:
        return free_port()
    if asked is not None:
        if not 0 <= asked <= 65535:
            raise InputError(f"port = {asked} is not allowed: it is a number from 0 (any free one) to 65535")
        if not is_free(asked):
            raise BitfrontError(f"port {asked} is taken: choose another with --port, or leave --port out")
        return asked
    for port in range(DASHBOARD, DASHBOARD + 100):
        if is_free(port):
            return port
    return free_port()
