"""Getting a dataset onto this machine: from the mirror where there is one, else by PyG's download.

A mirror (``BITFRONT_MIRROR``) is a folder or URL with archives and an index.json that lists, for each,
the file, its SHA-256, the datasets inside and a caveat. An archive is checked before it is unpacked.
Everything lands in a temporary folder first and is moved into place whole, under a lock, so that
several workers that want the same dataset fetch it once and none sees half of it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from engine.errors import RunError
from engine.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True)
class Archive:
    """One row of a mirror's index."""

    file: str
    sha256: str
    caveat: str | None


def _is_url(mirror: str) -> bool:
    return mirror.startswith(("http://", "https://"))


def _fetch(mirror: str, name: str) -> bytes:
    place = f"{mirror.rstrip('/')}/{name}"
    try:
        if _is_url(mirror):
            with urllib.request.urlopen(place, timeout=60) as answer:
                return answer.read()
        return Path(place).expanduser().read_bytes()
    except (OSError, urllib.error.URLError) as error:
        raise RunError(f"the mirror's {place} cannot be read: {error}; set BITFRONT_MIRROR right or unset it") from None


def find_archive(dataset: str, mirror: str) -> Archive | None:
    """The mirror's archive of this dataset; None where it has none. RunError for a mirror that cannot be read."""
    try:
        index: list[dict[str, Any]] = json.loads(_fetch(mirror, "index.json"))
        rows = [row for row in index if dataset in row["datasets"]]
        return Archive(rows[0]["archive"], rows[0]["sha256"], rows[0].get("caveat")) if rows else None
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"the mirror's index.json at {mirror} is broken: {error!r}") from None


def caveat(dataset: str, settings: Settings) -> str | None:
    """What the mirror says must be shown beside results on its copy of this dataset."""
    found = find_archive(dataset, settings.mirror) if settings.mirror else None
    return found.caveat if found else None


def unpack(archive: Archive, mirror: str, root: Path) -> None:
    """Check an archive against its SHA-256 and unpack it into ``root``. RunError if it does not match."""
    content = _fetch(mirror, archive.file)
    found = hashlib.sha256(content).hexdigest()
    if found != archive.sha256:
        raise RunError(
            f"the archive {archive.file} of the mirror {mirror} is damaged: its SHA-256 is {found[:12]}…, "
            f"the index says {archive.sha256[:12]}…; copy it again"
        )
    with tempfile.NamedTemporaryFile(suffix=archive.file) as file:
        file.write(content)
        file.flush()
        try:
            with tarfile.open(file.name) as tar:
                tar.extractall(root, filter="data")
        except (tarfile.TarError, OSError) as error:
            raise RunError(f"the archive {archive.file} of the mirror {mirror} cannot be unpacked: {error}") from None


def provide(dataset: str, folder: str, read: Callable[[Path], T], settings: Settings) -> T:
    """Load a dataset by ``read(root)`` from the data root, fetching it first where it is absent.

    ``folder`` is what ``read`` keeps below its root ("Planetoid/Cora"). Raises RunError in one sentence.
    """
    root = settings.data_root
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root / f".{dataset}.lock")
        with lock:
            if not (root / folder / "processed").is_dir():
                _fetch_whole(dataset, folder, read, settings)
            return read(root)
    except (PermissionError, NotADirectoryError) as error:
        raise RunError(f"the data folder {root} cannot be written: {error.strerror}; set BITFRONT_DATA") from None


def _fetch_whole(dataset: str, folder: str, read: Callable[[Path], Any], settings: Settings) -> None:
    root = settings.data_root
    archive = find_archive(dataset, settings.mirror) if settings.mirror else None
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{dataset}-") as temporary:
        staging = Path(temporary)
        if archive is not None and settings.mirror is not None:
            unpack(archive, settings.mirror, staging)
        elif (root / folder / "raw").is_dir():
            shutil.copytree(root / folder / "raw", staging / folder / "raw")
        try:
            read(staging)
        except OSError as error:
            hint = "add its archive to the mirror" if settings.mirror else "set BITFRONT_MIRROR to a folder of archives"
            raise RunError(f"{dataset} could not be downloaded ({error}): connect to the internet, or {hint}") from None
        target = root / folder
        if target.exists():
            shutil.rmtree(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        (staging / folder).rename(target)
