"""The store as a process: ``python -m store.service``. Who may read and write: store/access.py.

It prints one line of JSON, {"ready": true, "url": …}, when it answers. Log lines go to standard error.
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
import uvicorn
from fastapi import FastAPI

from engine.errors import BitfrontError
from engine.settings import Settings
from store.access import Tokens, check_reach, ensure_tokens
from store.api import create_api
from store.owner import StoreOwner


class _Server(uvicorn.Server):
    """Says when it answers."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(json.dumps({"ready": True, "url": self._url}), flush=True)


def create_app(owner: StoreOwner, tokens: Tokens, hosts: Sequence[str] = ()) -> FastAPI:
    """The service's application; it follows the stream while it lives and closes the store at its end."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        owner.follower.start()
        try:
            yield
        finally:
            owner.close()

    return create_api(owner, tokens, hosts, lifespan)


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises BitfrontError, one sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol must be named: asyncio switches Nagle's delay (40 ms an answer) off only where it is.
    server = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, port))
    except (OSError, OverflowError) as error:
        server.close()
        why = getattr(error, "strerror", None) or str(error)
        raise BitfrontError(f"the store cannot listen on {host} port {port}: {why.lower()}") from None
    return server


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the service until SIGTERM or Ctrl-C; 1 with one sentence where it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m store.service", description="Run the store service.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: a free one)")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="further name that clients use for it"
    )
    options = parser.parse_args(arguments)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    settings = Settings()
    try:
        check_reach(settings, options.host)
        server = listen(options.host, options.port)
        owner = StoreOwner(settings)
        tokens = ensure_tokens(settings)
    except BitfrontError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"the store cannot use the home {settings.home}: {error.strerror}", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn ends at either, then raises it again: ended as asked is 0
    host = f"[{options.host}]" if ":" in options.host else options.host
    app = create_app(owner, tokens, [options.host, *options.allow_host])
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=5)
    _Server(config, f"http://{host}:{server.getsockname()[1]}").run(sockets=[server])
    return 0


if __name__ == "__main__":
    sys.exit(main())
