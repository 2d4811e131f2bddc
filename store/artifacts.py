"""Files of runs over HTTP: workers on other machines PUT their models and checkpoints here, and GET what was left.

``BITFRONT_HOME/artifacts/<run>/<attempt>/<name>``, of three names only, so that no address leaves its folder. A file
appears whole or not at all. Its outer form is looked at (safetensors, JSON, the archive of a checkpoint); it is never
unpickled, and no tensor of it is read. A write needs the run's lease: an attempt that a newer one has replaced writes
nothing, whatever a suspended worker believes. After a run's end its newest attempt may still send what it has announced
(engine.events.ArtifactSaved), of the content that it has announced and no other.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Annotated, Any

import redis
from fastapi import APIRouter, Header, HTTPException, Path, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from engine.settings import Settings
from store.lifecycle import UNFINISHED
from store.owner import StoreOwner
from store.stream import redis_url

LEASE_HEADER = "X-Bitfront-Lease"
"""Carries what the worker wrote into the run's lease."""
UPLOADS = "uploads"
"""The one folder among the runs' that is none (engine.own_data.uploads)."""
PLACE = ".place"
"""Names the folder of artifacts: who reads the same text in theirs shares it, and need not send anything."""
_HEADER_BYTES = 2**20

Run = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Number = Annotated[int, Path(ge=1, le=10**9)]


def lease_key(run: str) -> str:
    """Where Redis keeps who trains the run: ``attempt:worker:token`` (tasks.keys)."""
    return f"lease:{run}"


def claimed_key(run: str) -> str:
    """Where Redis keeps the newest attempt that a worker claimed (tasks.keys)."""
    return f"claimed:{run}"


def artifact_routes(owner: StoreOwner) -> APIRouter:
    """The routes; who may write is settled before them (store.api)."""
    routes = APIRouter(prefix="/artifacts")
    root = owner.settings.artifacts
    place = name_place(root)
    for part in root.glob("*/*/.*.part"):  # of a store that was killed while it took a file
        part.unlink(missing_ok=True)

    @routes.get("")
    def where() -> dict[str, str]:
        """Names the folder of artifacts: a worker that reads the same name in its own shares it."""
        return {"place": place}

    @routes.get("/{run}")
    def files(run: Run) -> list[dict[str, Any]]:
        """The files of a run's attempts, newest attempt first."""
        found = [
            {"attempt": int(folder.name), "name": name, "bytes": (folder / name).stat().st_size}
            for folder in (root / run).glob("*")
            if folder.name.isdecimal()
            for name in KINDS
            if (folder / name).is_file()
        ]
        return sorted(found, key=lambda file: (-file["attempt"], file["name"]))

    @routes.get("/{run}/{attempt}/{name}", response_class=FileResponse)
    def file(run: Run, attempt: Number, name: str) -> FileResponse:
        """One file, as it was sent."""
        path = root / run / str(attempt) / _kind(name).name
        if not path.is_file() or path.is_symlink():  # a link could show what is not a run's
            raise HTTPException(404, f"attempt {attempt} of the run {run!r} has left no {name}")
        return FileResponse(path, media_type="application/octet-stream", filename=f"{run}-{name}")

    @routes.put("/{run}/{attempt}/{name}")
    async def put(
        request: Request, run: Run, attempt: Number, name: str, lease: Annotated[str, Header(alias=LEASE_HEADER)] = ""
    ) -> dict[str, Any]:
        """Keep a file of an attempt that has the run's lease; it replaces the attempt's older one of that name.

        Of a run that is over: only what its last attempt has announced.
        """
        kind = _kind(name)
        await run_in_threadpool(_check_sender, owner, run, attempt, lease, name)
        folder = root / run / str(attempt)
        part = folder / f".{name}.{secrets.token_hex(4)}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            size = await _receive(request, part, kind)
            await run_in_threadpool(kind.check, part)
            # Again: what took minutes to come may be of an attempt that was replaced meanwhile.
            announced = await run_in_threadpool(_check_sender, owner, run, attempt, lease, name)
            if announced is not None and announced != await run_in_threadpool(_digest, part):
                raise HTTPException(422, f"this {name} is not the one that the run {run!r} has announced")
            part.replace(folder / name)
        except OSError as error:
            why = "its disk is full" if error.errno == errno.ENOSPC else str(error.strerror or error).lower()
            raise HTTPException(507, f"the store cannot keep {name} of the run {run!r}: {why}") from None
        finally:
            part.unlink(missing_ok=True)
        return {"run": run, "attempt": attempt, "name": name, "bytes": size}

    @routes.delete("/{run}/{attempt}/checkpoints")
    def clear(run: Run, attempt: Number, lease: Annotated[str, Header(alias=LEASE_HEADER)] = "") -> dict[str, int]:
        """Remove the checkpoints of this attempt and of those before it: nothing goes on from there."""
        _check_writer(owner, run, attempt, lease)
        removed = 0
        for path in (root / run).glob(f"*/{CHECKPOINT}"):
            if path.parent.name.isdecimal() and int(path.parent.name) <= attempt:
                path.unlink(missing_ok=True)
                removed += 1
                with suppress(OSError):  # the model stays, and with it the folder
                    path.parent.rmdir()
        return {"removed": removed}

    return routes


def name_place(root: FilePath) -> str:
    """The name of a folder of artifacts, made where it has none yet."""
    root.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), (root / PLACE).open("x", encoding="ascii") as file:
        file.write(secrets.token_hex(16))
    return (root / PLACE).read_text(encoding="ascii")


def delete_files(settings: Settings, run: str) -> None:
    """Every file of a run that was deleted, where this machine has them."""
    if run != UPLOADS:
        shutil.rmtree(settings.artifacts / run, ignore_errors=True)


async def _receive(request: Request, part: FilePath, kind: Kind) -> int:
    """Write the body to a file, flushed to the disk; its bytes. 413 where there are too many."""
    size = 0
    with part.open("xb") as file:
        async for chunk in request.stream():
            size += len(chunk)
            if size > kind.most:
                raise HTTPException(
                    413, f"{kind.name} is larger than {kind.most // 2**20} MiB: the store keeps no such"
                )
            await run_in_threadpool(file.write, chunk)
        file.flush()
        await run_in_threadpool(os.fsync, file.fileno())
    return size


def _check_sender(owner: StoreOwner, run: str, attempt: int, lease: str, name: str) -> str | None:
    """409 where the attempt may not send the file; the SHA-256 that it must have where the run is over, else None."""
    row = _check_writer(owner, run, attempt, lease)
    if row["state"] in UNFINISHED:
        return None
    announced = {file["name"]: file["sha256"] for file in owner.query("artifacts", {"run": run}).to_pylist()}
    if attempt != row["attempt"] or name not in announced:
        raise HTTPException(409, f"the run {run!r} is {row['state']}: nothing more is written of it")
    return announced[name]


def _digest(path: FilePath) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_writer(owner: StoreOwner, run: str, attempt: int, lease: str) -> dict[str, Any]:
    """The run's row. 404 where there is none, 409 where the attempt has the run no more."""
    rows = owner.query("run", {"run": run}).to_pylist()
    if not rows:
        raise HTTPException(404, f"there is no run {run!r}")
    row = rows[0]
    newest, holder = row["attempt"] or 0, None
    url = redis_url(owner.settings)
    if url:
        with (
            suppress(redis.RedisError, OSError, ValueError),  # without it, what the store itself knows decides
            redis.Redis.from_url(url, decode_responses=True, socket_connect_timeout=1, socket_timeout=2) as queue,
        ):
            holder, claimed = queue.mget(lease_key(run), claimed_key(run))
            newest = max(newest, int(claimed or 0))
    if attempt < newest:
        raise HTTPException(409, f"attempt {newest} has the run {run!r} since: attempt {attempt} writes nothing more")
    if holder is not None and holder != lease:
        raise HTTPException(409, f"another worker has the run {run!r}: give its lease in {LEASE_HEADER}")
    return row


@dataclass(frozen=True)
class Kind:
    """One of the names that a file may have."""

    name: str
    most: int
    """Bytes."""
    check: Callable[[FilePath], None]
    """Raises 422 where the file has another form."""


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise HTTPException(404, f"{name!r} is no file of a run: there are {', '.join(KINDS)}")
    return KINDS[name]


def _check_model(path: FilePath) -> None:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = file.read(size) if size <= _HEADER_BYTES else b""
    try:
        is_model = len(header) == size and isinstance(json.loads(header), dict)
    except (ValueError, RecursionError):
        is_model = False
    if not is_model:
        raise HTTPException(422, f"{MODEL} is no safetensors file")


def _check_manifest(path: FilePath) -> None:
    try:
        is_manifest = isinstance(json.loads(path.read_bytes()), dict)
    except (ValueError, RecursionError):
        is_manifest = False
    if not is_manifest:
        raise HTTPException(422, f"{MANIFEST} is no JSON object")


def _check_checkpoint(path: FilePath) -> None:
    with path.open("rb") as file:
        is_archive = file.read(4) == b"PK\x03\x04" and zipfile.is_zipfile(file)
    if not is_archive:
        raise HTTPException(422, f"{CHECKPOINT} is no checkpoint")


MODEL, MANIFEST, CHECKPOINT = "model.safetensors", "model.json", "checkpoint.pt"
KINDS = {
    kind.name: kind
    for kind in (
        Kind(MODEL, 2**30, _check_model),
        Kind(MANIFEST, 2**26, _check_manifest),
        Kind(CHECKPOINT, 2**32, _check_checkpoint),
    )
}
