"""Uploaded datasets: checked, kept by their content's hash, handed to workers on other machines.

``BITFRONT_HOME/artifacts/uploads/<id>/`` holds ``files/`` and ``upload.json``. A folder appears whole or not at all;
the same files give the same id. File names have no folders, so that none can leave its own.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import re
import shutil
import struct
import tempfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Literal

from engine.errors import InputError, RunError
from engine.own_data.content import Labels
from engine.own_data.folders import read_many
from engine.own_data.single import read_one
from engine.settings import Settings

Kind = Literal["file", "folder"]
"""The dataset that reads it: one graph, or many."""
MANIFEST, FILES = "upload.json", "files"
LARGEST_UPLOAD = 200 * 2**20
"""Bytes of all files of an upload together, packed or not."""
LARGEST_ARRAYS = 2**30
"""Bytes of the arrays of an upload's .npz files together, which are packed once more."""
MOST_FILES = 20_000
LARGEST_DIRECTORY = 256 * MOST_FILES
"""Bytes of an archive's list of its files, which Python's zipfile reads whole, and makes an object of each entry."""
MOST_NODES = 20_000_000
"""Nodes of all graphs together: an .npz without features may name more than any memory holds, in a few bytes."""
DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, ValueError, struct.error)
"""What Python's zipfile raises for an archive that is damaged, each by another layer."""
_ID = re.compile(r"u[0-9a-f]{16}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,120}\.(?:csv|npz)")


@dataclass(frozen=True)
class Upload:
    """One uploaded dataset."""

    id: str
    kind: Kind
    name: str
    """What a person calls it."""
    labels: Labels
    files: int
    size: int
    """Bytes."""
    graphs: int
    nodes: int
    edges: int
    features: int
    """0: none were given, degree features are made."""
    uploaded_at: float

    @property
    def dataset(self) -> str:
        """The text that names it in a run."""
        options = [f"upload={self.id}"] + ([f"labels={self.labels}"] if self.labels != "classes" else [])
        return f"{self.kind}({','.join(options)})"


def uploads_folder(settings: Settings) -> Path:
    return settings.home / "artifacts" / "uploads"


def check_id(upload: str) -> str:
    """The id itself. Raises InputError where it is none."""
    if not _ID.fullmatch(upload):
        raise InputError(f"upload = {upload!r} is not allowed: an upload's id is u and 16 hex digits")
    return upload


def keep_upload(packed: IO[bytes], kind: Kind, name: str, labels: Labels, settings: Settings) -> Upload:
    """Unpack a zip of files, check them as a dataset and keep them. Raises InputError with the file and the row."""
    root = uploads_folder(settings)
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=".part-") as temporary:
        whole = Path(temporary) / "whole"
        files = whole / FILES
        files.mkdir(parents=True)
        size = unpack(packed, files)
        _check_arrays(files)
        graphs, nodes, edges, features = _statistics(files, kind, labels)
        found = Upload(
            id=f"u{_digest(files, kind, labels)[:16]}",
            kind=kind,
            name=name.strip()[:120] or "upload",
            labels=labels,
            files=len(list(files.iterdir())),
            size=size,
            graphs=graphs,
            nodes=nodes,
            edges=edges,
            features=features,
            uploaded_at=time.time(),
        )
        target = root / found.id
        if target.exists():
            return read_upload(found.id, settings)
        (whole / MANIFEST).write_text(json.dumps(asdict(found)))
        whole.rename(target)
        return found


class _Bounded:
    """An archive's file of which no one read takes more than the longest list of files may be."""

    def __init__(self, file: IO[bytes], what: str) -> None:
        self._file, self._what = file, what

    def read(self, size: int = -1) -> bytes:
        # zipfile reads the list in one piece, of the length that the archive names; members and the rest in small ones.
        if size > LARGEST_DIRECTORY:
            raise InputError(f"{self._what} lists too many files: at most {MOST_FILES}")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True


def unpack(packed: IO[bytes], target: Path) -> int:
    """Write the files of a zip into an empty folder; gives their bytes. Raises InputError."""
    try:
        with zipfile.ZipFile(_Bounded(packed, "the upload")) as archive:
            members = archive.infolist()
            if len(members) > MOST_FILES:
                raise InputError(f"the upload has {len(members)} files: at most {MOST_FILES}")
            for member in members:
                if not _NAME.fullmatch(member.filename):
                    raise InputError(
                        f"the file name {member.filename!r} is not allowed: letters, digits, spaces, '.', '-' and '_', "
                        "no folders, ending in .csv or .npz"
                    )
            total = sum(member.file_size for member in members)
            if total > LARGEST_UPLOAD:
                raise InputError(
                    f"the upload has {total / 2**20:.0f} MiB: at most {LARGEST_UPLOAD // 2**20} MiB; "
                    "train larger data by its path with `bitfront run`"
                )
            for member in members:
                with archive.open(member) as source, (target / member.filename).open("xb") as file:
                    shutil.copyfileobj(source, file)
            return total
    except FileExistsError as error:
        raise InputError(f"the upload has the file {Path(error.filename).name} twice") from None
    except InputError:
        raise
    except (*DAMAGE, RuntimeError) as error:  # the last: it is encrypted
        raise InputError(f"the upload cannot be read: {error}") from None


def _check_arrays(files: Path) -> None:
    """Raise InputError where the arrays are too large once they are unpacked in their turn."""
    total = 0
    for file in sorted(files.glob("*.npz")):
        try:
            with file.open("rb") as opened, zipfile.ZipFile(_Bounded(opened, file.name)) as archive:
                total += sum(member.file_size for member in archive.infolist())
        except InputError:
            raise
        except DAMAGE:
            continue  # reading it says what is wrong
        if total > LARGEST_ARRAYS:
            raise InputError(
                f"{file.name} is too large: {total / 2**20:.0f} MiB unpacked, at most {LARGEST_ARRAYS // 2**20} MiB; "
                "train larger data by its path with `bitfront run`"
            )


def _statistics(files: Path, kind: Kind, labels: Labels) -> tuple[int, int, int, int]:
    graphs = [read_one(files, labels)] if kind == "file" else read_many(files, labels).graphs
    width = graphs[0].x
    nodes = sum(graph.nodes for graph in graphs)
    if nodes > MOST_NODES:
        raise InputError(
            f"the upload has {nodes} nodes: at most {MOST_NODES}; train larger data by its path with `bitfront run`"
        )
    return (
        len(graphs),
        nodes,
        sum(graph.edges.shape[1] for graph in graphs),
        0 if width is None else width.shape[1],
    )


def _digest(files: Path, kind: Kind, labels: Labels) -> str:
    digest = hashlib.sha256(f"{kind} {labels}".encode())
    for file in sorted(files.iterdir()):
        content = file.read_bytes()
        digest.update(f"\n{file.name} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def read_upload(upload: str, settings: Settings) -> Upload:
    """What is known of an upload on this machine. Raises InputError where there is none of this id."""
    try:
        return Upload(**json.loads((uploads_folder(settings) / check_id(upload) / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError):
        raise InputError(f"there is no upload {upload!r}: upload the files again on the Launch page") from None


def list_uploads(settings: Settings) -> list[Upload]:
    """The uploads on this machine, newest first."""
    found = []
    for folder in uploads_folder(settings).glob("u*"):
        try:
            found.append(read_upload(folder.name, settings))
        except InputError:
            continue
    return sorted(found, key=lambda upload: upload.uploaded_at, reverse=True)


def pack(upload: str, settings: Settings, target: IO[bytes]) -> None:
    """Write an upload's files as a zip, for a worker on another machine. Raises InputError."""
    folder = uploads_folder(settings) / read_upload(upload, settings).id / FILES
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)


def locate(upload: str, settings: Settings) -> Path:
    """The folder of an upload's files: the home's, else a copy fetched once from the store. Raises RunError."""
    own = uploads_folder(settings) / check_id(upload) / FILES
    if own.is_dir():
        return own
    copy = settings.data_root / "uploads" / upload
    if copy.is_dir():
        return copy
    url = settings.store_url or settings.read_endpoints().get("store")
    if not url:
        raise RunError(f"the upload {upload} is not on this machine, and no store is known that has it")
    place = f"{url.rstrip('/')}/uploads/{upload}/files"
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=copy.parent, prefix=".part-") as temporary:
            packed, files = Path(temporary) / "packed.zip", Path(temporary) / "files"
            token = settings.read_store_token()
            asked = urllib.request.Request(place, headers={"Authorization": f"Bearer {token}"} if token else {})
            with urllib.request.urlopen(asked, timeout=60) as answer, packed.open("wb") as file:
                shutil.copyfileobj(answer, file)
            files.mkdir()
            with packed.open("rb") as file:
                unpack(file, files)
            if not copy.is_dir():  # another worker may have been first
                files.rename(copy)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403):
            raise RunError(f"the store does not let this worker read {place}: set BITFRONT_STORE_TOKEN") from None
        raise RunError(f"the store has no upload {upload} (status {error.code}): upload the files again") from None
    except OSError as error:
        if not copy.is_dir():
            raise RunError(f"the upload {upload} cannot be fetched from {place}: {error}") from None
    return copy
