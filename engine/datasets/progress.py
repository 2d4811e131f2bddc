"""How far a download is, for whoever asks: the command line draws a bar, a worker draws none.

with reporting(show):
    load_graph(spec.dataset, settings)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

Report = Callable[[str, int, int | None], None]
"""Called with what is going on ("downloading reddit"), the bytes so far, and about how many there will be."""

INTERVAL = 0.2
"""Seconds between two looks at a growing folder."""

_report: ContextVar[Report | None] = ContextVar("report", default=None)


@contextmanager
def reporting(report: Report) -> Iterator[None]:
    """Within the block, downloads that this thread starts call ``report``."""
    token = _report.set(report)
    try:
        yield
    finally:
        _report.reset(token)


def tell(what: str, done: int = 0, total: int | None = None) -> None:
    """Report once, where somebody listens."""
    report = _report.get()
    if report is not None:
        report(what, done, total)


@contextmanager
def watched(what: str, folder: Path, total: int | None) -> Iterator[None]:
    """Within the block, report how many bytes lie in ``folder``, whoever writes them."""
    report = _report.get()
    if report is None:
        yield
        return
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(INTERVAL):
            report(what, _bytes_in(folder), total)

    thread = threading.Thread(target=watch, name="download-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        report(what, _bytes_in(folder), total)


def _bytes_in(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # moved or removed meanwhile
            continue
    return total
