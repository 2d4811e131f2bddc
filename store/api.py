"""The store's HTTP interface: Arrow out, JSON in."""

from __future__ import annotations

import importlib.metadata
import io
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import duckdb
import pyarrow as pa
import structlog
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict

from engine.catalogue import unknown
from engine.errors import BitfrontError, InputError
from engine.own_data.content import Labels
from engine.own_data.uploads import LARGEST_UPLOAD, Kind, keep_upload, list_uploads, pack
from engine.settings import Settings
from store import edits, saved_views
from store.access import Role, Tokens, is_known_host, role_of
from store.artifacts import artifact_routes, delete_files
from store.backup import backup_open
from store.database import SCHEMA_VERSION
from store.docs import render
from store.ingest import Received
from store.owner import StoreOwner, describe_failure
from store.queries import Parameter, catalogue

ZIP = "application/zip"
ARROW = "application/vnd.apache.arrow.stream"
LARGEST_BODY = 64 * 2**20
"""Bytes of a request's body that are accepted."""

ALIVE = "/alive"
HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
WORDS = {
    "off": "Reads are open; writes need `Authorization: Bearer <token>`.",
    "oidc": "Reads and writes need `Authorization: Bearer <token>`; the viewers' token only reads.",
    "readonly": "Reads are open; nothing can be written.",
}

INTERNAL = "the store met a fault of its own: whoever runs it finds the cause in its log"

log = structlog.get_logger(__name__)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
Next = Callable[[Request], Awaitable[Response]]


class Health(BaseModel):
    """How the store does."""

    status: str
    version: str
    schema_version: int
    stream_position: str
    redis: str
    """"connected", "unreachable", or "none" where no queue is named."""
    home: str | None
    """The folder of its state on its machine; None for whoever may only read."""
    counts: dict[str, int]
    """Runs by state."""
    dead_letters: int
    """Events that could not be applied."""
    trouble: str | None = None
    """Why what comes in is not remembered now, in words; for whoever may only read without the home's path."""


class QueryInfo(BaseModel):
    """A named query."""

    name: str
    description: str
    columns: dict[str, str]
    parameters: list[dict[str, Any]]


class EventsApplied(BaseModel):
    """What became of the posted events."""

    applied: int
    dropped: int
    dead: int


class BackupTarget(BaseModel):
    """Where to write the copy: a new file on the store's machine."""

    model_config = ConfigDict(extra="forbid")

    path: str


def version() -> str:
    """Version of the installed distribution."""
    try:
        return importlib.metadata.version("bitfront")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def create_api(owner: StoreOwner, tokens: Tokens, hosts: Sequence[str], lifespan: Lifespan) -> FastAPI:
    """The application over an open store; ``hosts`` are the names beside loopback that it answers to."""
    auth = owner.settings.auth
    api = FastAPI(
        title="Bitfront store",
        version=version(),
        description=f"What is remembered of every run. {WORDS[auth]}",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )

    @api.middleware("http")
    async def check_request(request: Request, call_next: Next) -> Response:
        if not is_known_host(request.headers.get("host"), hosts):
            return _problem(421, "this store does not answer to that host name: start it with --allow-host NAME")
        given = role_of(request.headers.get("authorization"), auth, tokens)
        if given < (needed := _needed(request)):
            return _problem(*_refusal(given, needed, auth))
        request.state.role = given
        try:
            answer = await call_next(request)
        except Exception:
            log.exception("a request could not be answered", method=request.method, path=request.url.path)
            answer = _problem(500, INTERNAL)
        answer.headers.update(HEADERS)
        return answer

    @api.exception_handler(InputError)
    async def bad_input(_: Request, error: InputError) -> Response:
        return _problem(422, str(error))

    @api.exception_handler(BitfrontError)
    async def failed(_: Request, error: BitfrontError) -> Response:
        return _problem(500, str(error))

    @api.exception_handler(RecursionError)
    async def nested(_: Request, error: RecursionError) -> Response:
        return _problem(422, "the body is nested too deep to be read")

    @api.exception_handler(duckdb.Error)
    async def not_kept(request: Request, error: duckdb.Error) -> Response:
        return _problem(503, _shown(describe_failure(error), request, owner.settings))

    @api.exception_handler(RequestValidationError)
    async def bad_request(_: Request, error: RequestValidationError) -> Response:
        fault = error.errors()[0]
        if fault["type"] == "value_error":
            return _problem(422, str(fault["ctx"]["error"]))
        where = ".".join(str(part) for part in fault["loc"] if part != "body")
        return _problem(422, f"{where}: {fault['msg']}" if where else str(fault["msg"]))

    @api.get(ALIVE)
    def alive() -> dict[str, str]:
        """Whether the store answers; says nothing else, to anyone."""
        return {"status": "ok"}

    api.include_router(artifact_routes(owner))

    @api.get("/health")
    def health(request: Request) -> Health:
        """How the store does, and how many runs are in each state."""
        counts = owner.query("counts", {}).to_pylist()
        dead = owner.query("dead_letter_count", {}).to_pylist()
        return Health(
            status="ok",
            version=version(),
            schema_version=SCHEMA_VERSION,
            stream_position=owner.position,
            redis=owner.follower.state,
            home=str(owner.settings.home) if request.state.role >= Role.RUNNER else None,
            counts={row["state"]: row["n"] for row in counts},
            dead_letters=dead[0]["n"],
            trouble=None if owner.trouble is None else _shown(owner.trouble, request, owner.settings),
        )

    @api.get("/queries")
    def queries() -> list[QueryInfo]:
        """Every named query with its columns and parameters."""
        return [
            QueryInfo(
                name=query.name,
                description=query.about,
                columns=owner.readers.columns(query.name),
                parameters=[_describe(parameter) for parameter in query.parameters],
            )
            for query in catalogue().values()
        ]

    @api.get("/query/{name}", response_class=Response, responses={200: {"content": {ARROW: {}}}})
    def query(name: str, request: Request) -> Response:
        """Run a named query; parameters as in `/queries`. The answer is an Arrow IPC stream."""
        return _answer(owner, name, dict(request.query_params))

    @api.post("/query/{name}", response_class=Response, responses={200: {"content": {ARROW: {}}}})
    def query_with_body(name: str, parameters: dict[str, str | int]) -> Response:
        """The same read with the parameters as a JSON object, for lists too long for an address; no token."""
        return _answer(owner, name, parameters)

    @api.post("/events")
    async def events(request: Request) -> EventsApplied:
        """Apply a JSON list of envelopes; they are committed before the answer."""
        received = _envelopes(await _body(request))
        applied = await run_in_threadpool(owner.apply, received)
        return EventsApplied(applied=applied.applied, dropped=applied.dropped, dead=applied.dead)

    @api.patch("/runs/{run}")
    def edit_run(run: str, edit: edits.RunEdit) -> dict[str, str]:
        """Change a run's name, tags or notes; a field that is absent stays, null clears it."""
        owner.write(lambda connection: edits.edit_run(connection, run, edit))
        return {"run": run}

    @api.delete("/runs/{run}")
    def delete_run(run: str) -> dict[str, str]:
        """Delete a run that is over, its record, and its files where the store's machine has them."""
        owner.write(lambda connection: edits.delete_run(connection, run))
        delete_files(owner.settings, run)
        return {"run": run}

    @api.post("/views")
    def add_view(new: saved_views.NewView) -> dict[str, str]:
        """Keep a view of a page, with a title and a note; gives its id."""
        folder = owner.settings.saved_views
        return {"view": owner.write(lambda connection: saved_views.add_view(connection, folder, new))}

    @api.patch("/views/{view}")
    def edit_view(view: str, edit: saved_views.ViewEdit) -> dict[str, str]:
        """Change a saved view's title or note; a field that is absent stays, a note that is null is cleared."""
        folder = owner.settings.saved_views
        owner.write(lambda connection: saved_views.edit_view(connection, folder, view, edit))
        return {"view": view}

    @api.delete("/views/{view}")
    def delete_view(view: str) -> dict[str, str]:
        """Forget a saved view."""
        folder = owner.settings.saved_views
        owner.write(lambda connection: saved_views.delete_view(connection, folder, view))
        return {"view": view}

    @api.post("/uploads")
    async def upload(request: Request, kind: Kind, name: str = "", labels: Labels = "classes") -> dict[str, Any]:
        """Keep a dataset: the body is a zip of its files (see engine/own_data). They are checked before the answer."""
        with tempfile.SpooledTemporaryFile(max_size=2**24) as packed:
            await _body_into(request, packed)
            found = await run_in_threadpool(keep_upload, packed, kind, name, labels, owner.settings)
        return {**asdict(found), "dataset": found.dataset}

    @api.get("/uploads")
    def uploads() -> list[dict[str, Any]]:
        """Every upload, newest first."""
        return [{**asdict(found), "dataset": found.dataset} for found in list_uploads(owner.settings)]

    @api.get("/uploads/{upload}/files", response_class=Response, responses={200: {"content": {ZIP: {}}}})
    def upload_files(upload: str) -> Response:
        """The files of an upload as a zip, for a worker on another machine."""
        packed = io.BytesIO()
        pack(upload, owner.settings, packed)
        return Response(packed.getvalue(), media_type=ZIP)

    @api.post("/backup")
    def backup(target: BackupTarget) -> dict[str, str]:
        """Write a consistent copy of the database to a new file on the store's machine."""
        path = owner.write(lambda connection: backup_open(connection, Path(target.path)))
        return {"path": str(path)}

    @api.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(render(api.openapi(), [info.model_dump() for info in queries()]))

    return api


def _needed(request: Request) -> Role:
    """The role that a request needs. What is not known to read needs the runner's, so that a new path is closed."""
    path = request.url.path
    if path == ALIVE:
        return Role.NOBODY
    reads = request.method in ("GET", "HEAD") or (request.method == "POST" and path.startswith("/query/"))
    return Role.VIEWER if reads else Role.RUNNER


def _refusal(given: Role, needed: Role, auth: str) -> tuple[int, str]:
    if auth == "readonly":
        return 403, "this store is read-only (BITFRONT_AUTH=readonly): nothing can be changed through it"
    if needed is Role.VIEWER:
        return 401, "reading this store needs its token: set BITFRONT_STORE_TOKEN"
    if given is Role.VIEWER and auth == "oidc":
        return 403, "viewers may only read: writing to the store needs its token, BITFRONT_STORE_TOKEN"
    return 401, "writing to the store needs its token: set BITFRONT_STORE_TOKEN"


def _answer(owner: StoreOwner, name: str, parameters: Mapping[str, Any]) -> Response:
    if name not in catalogue():
        raise HTTPException(404, str(unknown("query", name, list(catalogue()))))
    return Response(_arrow_stream(owner.query(name, parameters)), media_type=ARROW)


def _shown(text: str, request: Request, settings: Settings) -> str:
    """A text of ours for whoever asks: where the home lies is not for those who may only read."""
    if request.state.role >= Role.RUNNER:
        return text
    return text.replace(str(settings.home.expanduser().absolute()), "BITFRONT_HOME")


def _problem(status: int, detail: str) -> JSONResponse:
    return JSONResponse({"detail": detail}, status_code=status)


def _describe(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "type": parameter.type,
        "required": parameter.default is None,
        "default": parameter.default,
        "allowed": list(parameter.allowed),
        "description": parameter.about,
    }


def _arrow_stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()


async def _body(request: Request) -> bytes:
    chunks, size = [], 0
    stream: AsyncIterator[bytes] = request.stream()
    async for chunk in stream:
        size += len(chunk)
        if size > LARGEST_BODY:
            raise HTTPException(413, f"the body is larger than {LARGEST_BODY // 2**20} MiB: post fewer events at once")
        chunks.append(chunk)
    return b"".join(chunks)


async def _body_into(request: Request, file: IO[bytes]) -> None:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_UPLOAD:
            raise HTTPException(
                413,
                f"the upload is larger than {LARGEST_UPLOAD // 2**20} MiB: "
                "train larger data by its path with `bitfront run`",
            )
        file.write(chunk)
    file.seek(0)


def _envelopes(body: bytes) -> list[Received]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise InputError(f"the events are not valid JSON: {error}") from None
    if not isinstance(found, list):
        raise InputError("the events must be a JSON list of envelopes")
    return [Received(json.dumps(item), "http") for item in found]
