"""The typed client of the store service: named queries come back as Arrow tables.

Needs httpx and pyarrow only: no duckdb, no torch. A client may be shared by threads.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pyarrow as pa

from engine.errors import BitfrontError, InputError
from engine.events import Envelope
from engine.settings import Settings
from store.access import read_token, read_viewer_token

ARROW = "application/vnd.apache.arrow.stream"
_LONGEST_ADDRESS = 4000
_TIMEOUT = httpx.Timeout(30.0, connect=2.0)
_UPLOAD_TIMEOUT = httpx.Timeout(600.0, connect=2.0)


class StoreUnavailable(BitfrontError):  # noqa: N818 (reads as what it is)
    """The store does not answer, or there is none."""


class StoreError(BitfrontError):
    """The store answered with an error that is not the asker's fault."""


class Unset:
    """Marks a field that is left as it is (None clears it)."""


_UNSET = Unset()


class StoreClient:
    """Talks to one store. Every method raises StoreUnavailable where the store does not answer."""

    def __init__(self, url: str, token: str | None = None, *, timeout: httpx.Timeout = _TIMEOUT) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url) if "[" not in self.url or "]" in self.url else None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"{url!r} is not the address of a store, such as http://127.0.0.1:8000")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        # Without TLS no certificates are read, which takes longer than most questions.
        secure = parts.scheme == "https"
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=timeout, trust_env=False, verify=secure)

    def query(self, name: str, **parameters: Any) -> pa.Table:
        """Run a named query (`GET /queries` lists them). Lists are joined by commas; None stands for the default.

        Raises InputError for an unknown query or parameter.
        """
        given = {
            key: ",".join(map(str, value)) if isinstance(value, list | tuple | set | frozenset) else str(value)
            for key, value in parameters.items()
            if value is not None
        }
        path = f"/query/{quote(name, safe='')}"
        if sum(map(len, given.values())) > _LONGEST_ADDRESS:
            answer = self._ask("POST", path, json=given)
        else:
            answer = self._ask("GET", path, params=given)
        return pa.ipc.open_stream(answer.content).read_all()

    def health(self) -> dict[str, Any]:
        """Version, stream position, whether Redis answers, number of runs by state."""
        return self._ask("GET", "/health").json()

    def queries(self) -> list[dict[str, Any]]:
        """Every named query with its columns and parameters."""
        return self._ask("GET", "/queries").json()

    def post_events(self, envelopes: Iterable[Envelope]) -> int:
        """Have events applied and committed; the number that changed something (not dropped, not dead)."""
        body = "[" + ",".join(envelope.to_json() for envelope in envelopes) + "]"
        answer = self._ask("POST", "/events", content=body, headers={"Content-Type": "application/json"})
        return int(answer.json()["applied"])

    def edit_run(
        self,
        run: str,
        *,
        name: str | Unset | None = _UNSET,
        tags: Sequence[str] | Unset = _UNSET,
        notes: str | Unset | None = _UNSET,
    ) -> None:
        """Change what a person says of a run; what is not given stays. Raises InputError."""
        changes: dict[str, Any] = {"name": name, "notes": notes, "tags": tags}
        given = {
            key: list(value) if key == "tags" else value
            for key, value in changes.items()
            if not isinstance(value, Unset)
        }
        self._ask("PATCH", f"/runs/{quote(run, safe='')}", json=given)

    def delete_run(self, run: str) -> None:
        """Delete a run that is over, with its record. Raises InputError while it is not over."""
        self._ask("DELETE", f"/runs/{quote(run, safe='')}")

    def add_view(self, title: str, page: str, query: str = "", note: str | None = None) -> str:
        """Keep a view of a page (the query ``views`` lists them); its id. Raises InputError."""
        body = {"title": title, "note": note, "page": page, "query": query}
        return str(self._ask("POST", "/views", json=body).json()["view"])

    def edit_view(self, view: str, *, title: str | Unset = _UNSET, note: str | Unset | None = _UNSET) -> None:
        """Change a saved view's title or note; what is not given stays. Raises InputError."""
        given = {"title": title, "note": note}
        changes = {key: value for key, value in given.items() if not isinstance(value, Unset)}
        self._ask("PATCH", f"/views/{quote(view, safe='')}", json=changes)

    def delete_view(self, view: str) -> None:
        """Forget a saved view. Raises InputError for an unknown one."""
        self._ask("DELETE", f"/views/{quote(view, safe='')}")

    def upload(self, files: Mapping[str, bytes], kind: str, name: str = "", labels: str = "classes") -> dict[str, Any]:
        """Have the store check and keep a dataset's files, by name; what it knows of them, with its ``id``.

        ``kind``: "file" (one graph) or "folder" (many). Raises InputError, which names the file and the row.
        """
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in files.items():
                archive.writestr(file, content)
        answer = self._ask(
            "POST",
            "/uploads",
            params={"kind": kind, "name": name, "labels": labels},
            content=packed.getvalue(),
            headers={"Content-Type": "application/zip"},
            timeout=_UPLOAD_TIMEOUT,
        )
        return answer.json()

    def uploads(self) -> list[dict[str, Any]]:
        """Every uploaded dataset, newest first."""
        return self._ask("GET", "/uploads").json()

    def place(self) -> str:
        """Names the store's folder of artifacts; who reads the same name in theirs shares it."""
        return self._ask("GET", "/artifacts").json()["place"]

    def artifacts(self, run: str) -> list[dict[str, Any]]:
        """{attempt, name, bytes} of each file that the store has of a run, newest attempt first."""
        return self._ask("GET", f"/artifacts/{quote(run, safe='')}").json()

    def put_artifact(self, run: str, attempt: int, path: Path, lease: str) -> None:
        """Send a file of an attempt by its name. Raises InputError where the attempt has the run no more."""
        self._ask(
            "PUT",
            _artifact(run, attempt, path.name),
            content=_Content(path),
            headers={"Content-Length": str(path.stat().st_size), "X-Bitfront-Lease": lease},
            timeout=_UPLOAD_TIMEOUT,
        )

    def get_artifact(self, run: str, attempt: int, name: str, target: Path) -> None:
        """Fetch a file of an attempt into ``target``, whole or not at all. Raises InputError where there is none."""
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with (
                self._opened("GET", _artifact(run, attempt, name), timeout=_UPLOAD_TIMEOUT) as answer,
                part.open("wb") as file,
            ):
                for chunk in answer.iter_bytes():
                    file.write(chunk)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)

    def read_artifact(self, run: str, attempt: int, name: str) -> bytes:
        """A file of an attempt, as it was sent. Raises InputError where there is none."""
        return self._ask("GET", _artifact(run, attempt, name), timeout=_UPLOAD_TIMEOUT).content

    def clear_checkpoints(self, run: str, attempt: int, lease: str) -> int:
        """Have the checkpoints of this attempt and of those before it removed; gives their number."""
        path = _artifact(run, attempt, "checkpoints")
        return int(self._ask("DELETE", path, headers={"X-Bitfront-Lease": lease}).json()["removed"])

    def backup(self, path: str) -> None:
        """Have the store write a copy of its database to a new file on its machine. Raises InputError."""
        self._ask("POST", "/backup", json={"path": path})

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> StoreClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        with self._reached():
            answer = self._send(method, path, **options)
        _check(answer)
        return answer

    @contextmanager
    def _opened(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        """An answer that is read piece by piece."""
        with self._reached(), self._http.stream(method, path, **options) as answer:
            if answer.status_code >= 400:
                answer.read()
            _check(answer)
            yield answer

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException:
            raise StoreUnavailable(f"the store at {self.url} did not answer in time: is it overloaded?") from None
        except (httpx.TransportError, httpx.InvalidURL):
            raise StoreUnavailable(f"the store does not answer at {self.url}: start it with `bitfront up`") from None

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
            # A kept connection died with an older store; every request may be repeated.
            return self._http.request(method, path, **options)


class _Content:
    """A file's bytes, from the beginning each time they are asked for: a request may be repeated."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            while chunk := file.read(2**20):
                yield chunk


def _artifact(run: str, attempt: int, name: str) -> str:
    return f"/artifacts/{quote(run, safe='')}/{attempt}/{quote(name, safe='')}"


def _check(answer: httpx.Response) -> None:
    if answer.status_code < 400:
        return
    detail = _detail(answer)
    if answer.status_code in (400, 404, 409, 413, 422):
        raise InputError(detail)
    if answer.status_code == 503:
        raise StoreUnavailable(detail)
    raise StoreError(detail)


def _detail(answer: httpx.Response) -> str:
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = None
    return detail if isinstance(detail, str) else f"the store answered with status {answer.status_code}"


def connect(settings: Settings, *, as_viewer: bool = False) -> StoreClient:
    """A client of the store that the settings name, or of the one that `bitfront up` runs.

    ``as_viewer``: with the token that only reads, so that the store refuses what a viewer must not do.

    Raises StoreUnavailable where there is none, or where it does not answer.
    """
    url = settings.store_url or settings.read_endpoints().get("store")
    if not url:
        raise StoreUnavailable("no store is running on this home: start it with `bitfront up`")
    # A dashboard far from the store's home may have been given one token only.
    viewer = read_viewer_token(settings) if as_viewer else None
    client = StoreClient(url, viewer or read_token(settings))
    try:
        client.health()
    except BaseException:
        client.close()
        raise
    return client
