"""Getting a dataset onto this machine: from the mirror where there is one, else by PyG's download.

A mirror (``BITFRONT_MIRROR``) is a folder or URL with archives and an index.json that lists, for each,
the file, its SHA-256, the datasets inside and a caveat. An archive is checked before it is unpacked.
Everything lands in a temporary folder first and is moved into place whole, under a lock, so that
several workers that want the same dataset fetch it once and none sees half of it. Where a copy came
from is kept beside it, so that its caveat stays with it when the mirror goes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from engine.datasets import DATASETS
from engine.datasets.entry import Origin
from engine.datasets.progress import tell, watched
from engine.errors import BitfrontError, RunError
from engine.settings import Settings

T = TypeVar("T")

SOURCE = "bitfront-source.json"
"""Beside a dataset's raw files: the archive it came from."""
REACH_SECONDS = 10
"""How long the public server may take to answer before a download is given up."""
PIECE = 1 << 20
_NAMED = re.compile(r"[Rr]eport results on it as '([^']+)'")


@dataclass(frozen=True)
class Archive:
    """One row of a mirror's index."""

    file: str
    sha256: str
    caveat: str | None


def missing_packages(dataset: str) -> list[str]:
    """The optional packages that loading needs and that are not installed."""
    return [name for name in DATASETS[dataset].packages if importlib.util.find_spec(name) is None]


def _is_url(mirror: str) -> bool:
    return mirror.startswith(("http://", "https://"))


def _fetch(mirror: str, name: str, what: str | None = None) -> bytes:
    """A file of the mirror; ``what`` names it in the progress reports."""
    place = f"{mirror.rstrip('/')}/{name}"
    try:
        if not _is_url(mirror):
            return Path(place).expanduser().read_bytes()
        with urllib.request.urlopen(place, timeout=60) as answer:
            total = int(answer.headers.get("Content-Length") or 0) or None
            content = bytearray()
            while piece := answer.read(PIECE):
                content += piece
                if what:
                    tell(what, len(content), total)
            return bytes(content)
    except (OSError, urllib.error.URLError) as error:
        raise RunError(f"the mirror's {place} cannot be read: {error}; set BITFRONT_MIRROR right or unset it") from None


def read_index(mirror: str) -> dict[str, Archive]:
    """The mirror's archives by dataset. RunError for a mirror that cannot be read."""
    try:
        rows: list[dict[str, Any]] = json.loads(_fetch(mirror, "index.json"))
        archives: dict[str, Archive] = {}
        for row in rows:
            for dataset in row["datasets"]:
                archives.setdefault(dataset, Archive(row["archive"], row["sha256"], row.get("caveat")))
        return archives
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"the mirror's index.json at {mirror} is broken: {error!r}") from None


def find_archive(dataset: str, mirror: str) -> Archive | None:
    """The mirror's archive of this dataset; None where it has none. RunError for a mirror that cannot be read."""
    return read_index(mirror).get(dataset)


def source_of(dataset: str, settings: Settings) -> Archive | None:
    """The archive that this machine's copy came from; None for a public download, or where there is no copy."""
    origin = DATASETS[dataset].origin
    if origin is None:
        return None
    try:
        return Archive(**json.loads((settings.data_root / origin.folder / SOURCE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def caveat(dataset: str, settings: Settings) -> str | None:
    """What must be shown beside results on this copy: as noted when it was fetched, else as the mirror says."""
    origin = DATASETS[dataset].origin
    if origin is None:
        return None
    found = source_of(dataset, settings)
    if found is None and settings.mirror and not (settings.data_root / origin.folder / origin.processed).exists():
        found = find_archive(dataset, settings.mirror)
    return found.caveat if found else None


def notes(dataset: str, settings: Settings) -> str | None:
    """All that must be said beside results on this dataset: the entry's caveat and its copy's."""
    return "; ".join(filter(None, [DATASETS[dataset].caveat, caveat(dataset, settings)])) or None


def label(dataset: str, settings: Settings) -> str:
    """The name that results are shown under: generated data and the mirror's stand-ins say what they are."""
    if DATASETS[dataset].synthetic:
        return f"{dataset} (synthetic)"
    named = _NAMED.search(caveat(dataset, settings) or "")
    return named[1] if named else dataset


def is_here(dataset: str, settings: Settings) -> bool:
    """Whether the dataset is on this machine, ready to load."""
    origin = DATASETS[dataset].origin
    return origin is None or (settings.data_root / origin.folder / origin.processed).exists()


def whereabouts(settings: Settings) -> dict[str, str]:
    """Each dataset's place: "here", "in the mirror" or "to download". RunError for a mirror that cannot be read."""
    mirrored = read_index(settings.mirror) if settings.mirror else {}
    return {
        name: "here" if is_here(name, settings) else "in the mirror" if name in mirrored else "to download"
        for name in DATASETS
    }


def unpack(archive: Archive, mirror: str, root: Path) -> None:
    """Check an archive against its SHA-256 and unpack it into ``root``. RunError if it does not match."""
    content = _fetch(mirror, archive.file, f"fetching {archive.file}")
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
                _extract(tar, root)
        except (tarfile.TarError, OSError) as error:
            raise RunError(f"the archive {archive.file} of the mirror {mirror} cannot be unpacked: {error}") from None


def _extract(tar: tarfile.TarFile, root: Path) -> None:
    """Unpack files and folders, nothing outside of ``root``; Python before 3.11.4 (Debian 12) has no filter for it."""
    if hasattr(tarfile, "data_filter"):
        tar.extractall(root, filter="data")
        return
    place = root.resolve()
    for member in tar.getmembers():
        # A hard link names a file of the archive; a symbolic one could lead anywhere.
        names = [member.name, *([member.linkname] if member.islnk() else [])]
        fits = all((place / name).resolve().is_relative_to(place) for name in names)
        if not fits or not (member.isreg() or member.isdir() or member.islnk()):
            raise tarfile.TarError(f"{member.name!r} is no file or folder within it")
    tar.extractall(root)


def provide(dataset: str, read: Callable[[Path], T], settings: Settings) -> T:
    """Load a dataset by ``read(root)`` from the data root, fetching it first where it is absent.

    Raises RunError in one sentence.
    """
    root, origin = settings.data_root, DATASETS[dataset].origin
    for package in missing_packages(dataset):
        raise RunError(f"{dataset} needs the package {package}: pip install {package}, or 'bitfront[{package}]'")
    assert origin is not None, f"{dataset} is not fetched"
    try:
        if not is_here(dataset, settings):
            root.mkdir(parents=True, exist_ok=True)
            with _locked(root / f".{dataset}.lock", dataset):
                if not is_here(dataset, settings):
                    _fetch_whole(dataset, origin, read, settings)
    except (PermissionError, NotADirectoryError) as error:
        raise RunError(f"the data folder {root} cannot be written: {error.strerror}; set BITFRONT_DATA") from None
    try:
        return read(root)
    except BitfrontError:
        raise
    except Exception as error:  # whatever PyG raises over a file that is not what it wrote
        place = root / origin.folder
        raise RunError(f"the copy of {dataset} in {place} cannot be read ({error}): delete that folder") from None


@contextmanager
def _locked(path: Path, dataset: str) -> Iterator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tell(f"waiting for the process that is fetching {dataset}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _fetch_whole(dataset: str, origin: Origin, read: Callable[[Path], Any], settings: Settings) -> None:
    """Fetch and process in a folder of its own, then move what is whole into place. Needs the dataset's lock."""
    root, target = settings.data_root, settings.data_root / origin.folder
    for left in root.glob(f".{dataset}.part-*"):  # by a process that was killed
        shutil.rmtree(left, ignore_errors=True)
    archive = find_archive(dataset, settings.mirror) if settings.mirror else None
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{dataset}.part-") as temporary:
        staging = Path(temporary)
        staged, taken = staging / origin.folder, None
        if (target / "raw").is_dir():
            shutil.copytree(target, staged)
        elif archive is not None and settings.mirror is not None:
            tell(f"unpacking {archive.file}")
            unpack(archive, settings.mirror, staging)
            taken = archive
        else:
            _reach(dataset, origin, settings)
        try:
            # Standard output is the result's; PyG and ogb talk on it.
            what, total = ("processing", None) if staged.exists() else ("downloading", origin.bytes)
            with watched(f"{what} {dataset}", staging, total), redirect_stdout(sys.stderr):
                read(staging)
        except BitfrontError:
            raise
        except Exception as error:  # network, archive and parser errors of several libraries
            raise RunError(f"{dataset} could not be made ready ({error}): {_hint(settings)}") from None
        if taken:
            (staged / SOURCE).write_text(json.dumps(asdict(taken)))
        _install(staged, target, origin)


def _reach(dataset: str, origin: Origin, settings: Settings) -> None:
    """Ask the public server for a sign of life, so that a machine without a network is told so at once."""
    request = urllib.request.Request(origin.url, method="HEAD", headers={"User-Agent": "bitfront"})
    try:
        urllib.request.urlopen(request, timeout=REACH_SECONDS).close()
    except urllib.error.HTTPError:
        return  # it is there; what it says of this address does not matter
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise RunError(
            f"{dataset} is not on this machine and could not be downloaded from {origin.url} ({reason}): "
            f"{_hint(settings)}"
        ) from None


def _hint(settings: Settings) -> str:
    hint = "add its archive to the mirror" if settings.mirror else "set BITFRONT_MIRROR to a folder of archives"
    return f"connect to the internet, or {hint}"


def _install(staged: Path, target: Path, origin: Origin) -> None:
    """Move a whole dataset into place; what a person put there stays, and ``processed`` comes last, in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        staged.rename(target)
        return
    processed = staged / origin.processed
    for path in sorted(staged.rglob("*")):
        moved = target / path.relative_to(staged)
        if path.is_file() and processed not in path.parents and not moved.exists():
            moved.parent.mkdir(parents=True, exist_ok=True)
            path.rename(moved)
    (target / origin.processed).parent.mkdir(parents=True, exist_ok=True)
    processed.rename(target / origin.processed)
