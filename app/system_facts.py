"""What is known of this machine's Bitfront: its health check by check, what its files take, its versions, its data."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from app.phrases import count, megabytes
from app.worker_table import alive_text
from engine.code_version import code_version
from engine.datasets import DATASETS
from engine.datasets.archives import whereabouts
from engine.errors import RunError
from engine.settings import Settings
from tasks.standing import Standing

LEAST_FREE = 2e9
"""Free bytes of the home's disk below which the page warns."""


@dataclass(frozen=True)
class Check:
    """One thing that has to be well; ``said``: how it is, and where it is not well what to do."""

    name: str
    is_well: bool
    said: str


def checks(
    health: Mapping[str, Any],
    queue: Standing | str,
    workers: Sequence[Mapping[str, Any]],
    own_version: str,
    free: int | None,
    *,
    shows_letters: bool = True,
) -> list[Check]:
    """``health``: the store's; ``queue``: how it stands, or why it does not answer; ``free``: bytes of the disk;
    ``shows_letters``: whether the page tells the events that could not be applied."""
    found = [_store(health, own_version)]
    if isinstance(queue, str):
        found.append(Check("Queue", False, f"{queue}: what is trained goes on, nothing new is handed out"))
    else:
        found.append(Check("Queue", True, f"{queue.server} answers, up for {_hours(queue.uptime)}"))
        found.append(_dispatcher(queue))
    found.append(_workers(workers, health["counts"].get("queued", 0)))
    found.append(_letters(health["dead_letters"], shows_letters))
    if free is not None:
        low = free < LEAST_FREE
        found.append(Check("Disk", not low, f"{megabytes(free)} free" + (": make room, or runs fail" if low else "")))
    return found


def _store(health: Mapping[str, Any], own_version: str) -> Check:
    if health["trouble"]:
        return Check("Store", False, f"what happens now is not remembered yet: {health['trouble']}")
    if health["version"] != own_version:
        said = f"it is version {health['version']}, this dashboard is {own_version}: restart both with `bitfront up`"
        return Check("Store", False, said)
    return Check("Store", True, f"answers, and has applied every event up to {health['stream_position']}")


def _dispatcher(queue: Standing) -> Check:
    if queue.has_dispatcher:
        return Check("Dispatcher", True, "hands queued runs to the workers")
    return Check("Dispatcher", False, "none is running, so queued runs wait: `bitfront up` starts it")


def _workers(workers: Sequence[Mapping[str, Any]], queued: int) -> Check:
    if any(row["alive"] for row in workers):
        return Check("Workers", True, alive_text(workers))
    waits = f", and {count(queued, 'run')} waiting" if queued else ""
    return Check("Workers", not queued, f"none is alive{waits}" + (": `bitfront up` starts some" if queued else ""))


def _letters(dead: int, shown: bool) -> Check:
    if not dead:
        return Check("Events", True, "every event could be applied")
    return Check(
        "Events", False, f"{count(dead, 'event')} could not be applied" + (": see below what and why" if shown else "")
    )


def _hours(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min" if hours else f"{minutes} min"


@dataclass(frozen=True)
class Place:
    """A part of the home: what it is, where, and what it takes."""

    name: str
    holds: str
    path: Path
    files: int
    size: int
    """Bytes."""


def places(settings: Settings) -> list[Place]:
    """What each part of this machine's home takes; a part that is not there takes nothing."""
    home = settings.home.expanduser()
    parts = (
        ("Database", "runs, epochs, diagnostics", [settings.database, Path(f"{settings.database}.wal")]),
        ("Records", "a file a finished run, to rebuild the database from", [settings.records]),
        ("Artifacts", "checkpoints, trained models, uploads", [settings.artifacts]),
        ("Models", "trained models that runs start from", [settings.models]),
        ("Datasets", "graphs in PyG's layout", [settings.data_root]),
        ("Outbox and spool", "events on their way to the store", [settings.outbox, settings.spool]),
        (
            "Views, sweeps and searches",
            "a file each, to rebuild the database from",
            [settings.saved_views, settings.sweep_records, settings.search_records],
        ),
        ("Cost tables", "own costs of operations", [settings.costs]),
        ("Logs", "what the services said", [home / "logs"]),
    )
    found = []
    for name, holds, paths in parts:
        sizes = [_size(path.expanduser()) for path in paths]
        found.append(Place(name, holds, paths[0], sum(files for files, _ in sizes), sum(size for _, size in sizes)))
    return found


def _size(path: Path) -> tuple[int, int]:
    """How many files there are at a path, and their bytes; a file that goes meanwhile is none."""
    if path.is_file():
        return 1, path.stat().st_size
    files = size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                size += os.stat(os.path.join(folder, name), follow_symlinks=False).st_size
            except OSError:
                continue
            files += 1
    return files, size


def disk_free(settings: Settings) -> int | None:
    """Free bytes where the home lies; None where that cannot be told."""
    try:
        return shutil.disk_usage(settings.home.expanduser()).free
    except OSError:
        return None


def own_version() -> str:
    """The version of the installed distribution; "0" where it is not installed."""
    try:
        return importlib.metadata.version("bitfront")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def versions(health: Mapping[str, Any], queue: Standing | None) -> dict[str, str]:
    """What runs here, by name; the packages are those that Bitfront declares it needs."""
    found = {
        "Bitfront": own_version(),
        "Code that trains": code_version(),
        "Store": f"{health['version']}, schema {health['schema_version']}",
        "Queue": queue.server if queue else "does not answer",
        "Python": platform.python_version(),
        "System": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "Processor cores": str(psutil.cpu_count() or "unknown"),
        "Memory": megabytes(psutil.virtual_memory().total),
    }
    return found | package_versions()


def package_versions() -> dict[str, str]:
    """The packages that Bitfront declares (without extras), as they are installed."""
    try:
        declared = importlib.metadata.requires("bitfront") or []
    except importlib.metadata.PackageNotFoundError:
        declared = []
    found = {}
    for name in sorted(re.split(r"[\s\[<>=;!~,(]", line)[0] for line in declared if "extra ==" not in line):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


@dataclass(frozen=True)
class Dataset:
    """A dataset of the catalogue, and whether it is on this machine."""

    name: str
    where: str
    summary: str
    size: int | None
    """Bytes on disk; None: nothing of it is (yet)."""


WORDS = {
    "here": "here",
    "in the mirror": "in the mirror: unpacked at first use",
    "to download": "downloaded at first use",
}
"""Where a dataset is (engine.datasets.archives.whereabouts), in the order of the page, and as it says so."""


def datasets(settings: Settings) -> tuple[list[Dataset], str | None]:
    """Those of the catalogue, what is here first; and why the mirror cannot be read, if so."""
    trouble = None
    try:
        found_at = whereabouts(settings)
    except RunError as error:
        trouble, found_at = str(error), whereabouts(settings.model_copy(update={"mirror": None}))
    found = [
        Dataset(name, where, DATASETS[name].summary, _held(name, settings) if where == "here" else None)
        for name, where in found_at.items()
    ]
    return sorted(found, key=lambda row: (tuple(WORDS).index(row.where), row.name)), trouble


def _held(name: str, settings: Settings) -> int | None:
    origin = DATASETS[name].origin
    return None if origin is None else _size(settings.data_root / origin.folder)[1]
