"""Reading the histories from the command line: through the store if it runs, else from its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

import pyarrow as pa
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.digits import number
from engine.errors import InputError
from engine.settings import Settings


class Reader(Protocol):
    """What both the store's client and the read-only file offer."""

    def query(self, name: str, **parameters: Any) -> pa.Table: ...


def open_reader(settings: Settings) -> Reader:
    """The store's client if a store answers, else the database file, read-only."""
    from store.client import StoreUnavailable, connect

    try:
        client = connect(settings)
        client.health()
        return client
    except StoreUnavailable:
        from store.reader import open_read_only

        _take_outbox(settings)
        return open_read_only(settings)


def _take_outbox(settings: Settings) -> None:
    """Ingest what `bitfront run` left, as a store's start would, so that its runs are seen without a server."""
    from store.owner import StoreOwner

    if any(settings.outbox.glob("*.jsonl")):
        StoreOwner(settings).close()


def one_run(reader: Reader, run: str) -> dict[str, Any]:
    """The run of this id. Raises InputError where there is none."""
    rows = reader.query("run", run=run).to_pylist()
    if not rows:
        raise InputError(f"there is no run {run!r}: bitfront status lists them")
    return rows[0]


def print_json(value: Any) -> None:
    print(json.dumps(value, default=str))


SHORT = 12
"""Characters of a cell that stays on one line however narrow the terminal is."""


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for place, title in enumerate(titles):
        # The first column is what is copied (a run's id), and a word cut in two is no word: neither is folded.
        short = all(len(row[place]) <= SHORT for row in rows)
        table.add_column(title, overflow="fold", no_wrap=place == 0 or short)
    for row in rows:
        # A scheme's list in brackets is not markup.
        table.add_row(*map(escape, row))
    Console().print(table)


def mean_and_std(mean: float | None, std: float | None, unit: str | None = "%") -> str:
    """Both in the digits of the unit."""
    if mean is None:
        return ""
    return number(mean, unit) if std is None else f"{number(mean, unit)} ± {number(std, unit)}"
