"""Reading the histories from the command line: through the store if it runs, else from its file."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
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

LEAST = 6
"""Characters that a heading has room for above numbers of one or two digits."""
GAP = 2
"""Characters between columns."""


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]], *, keys: int = 1) -> None:
    """Print a table; one that is too wide for the terminal has headings of several lines, and where that is not enough
    it is printed in parts, each with the first ``keys`` columns."""
    console = Console()
    cells = [[row[place] for row in rows] for place in range(len(titles))]
    columns = [_Column.of(title, each, broken=False) for title, each in zip(titles, cells, strict=True)]
    if sum(column.width + GAP for column in columns) - GAP > console.width:
        columns = [_Column.of(title, each, broken=True) for title, each in zip(titles, cells, strict=True)]
    for places in _parts([column.width for column in columns], keys, console.width):
        table = Table(box=None, header_style="bold", pad_edge=False)
        for place in places:
            # The first column is what is copied (a run's id), and a word cut in two is no word: neither is folded.
            table.add_column(columns[place].heading, overflow="fold", no_wrap=place == 0 or columns[place].short)
        for row in rows:
            # A scheme's list in brackets is not markup.
            table.add_row(*(escape(row[place]) for place in places))
        console.print(table)


@dataclass(frozen=True)
class _Column:
    """A column's heading, whether its cells stay on one line, and the characters that it needs at least."""

    heading: str
    short: bool
    width: int

    @classmethod
    def of(cls, title: str, cells: Sequence[str], *, broken: bool) -> _Column:
        """``broken``: a heading that is wider than what it heads is broken between words."""
        longest = max(map(len, cells), default=0)
        short = longest <= SHORT
        if not broken:
            return cls(title, short, max(longest, len(title)))
        # A heading is cut where it does not fit.
        lines = textwrap.wrap(title, max(longest, LEAST), break_long_words=False) if short else [title]
        needed = max(longest, *map(len, lines)) if short else max(SHORT, *map(len, title.split()))
        return cls("\n".join(lines), short, needed)


def _parts(widths: Sequence[int], keys: int, room: int) -> list[list[int]]:
    """The places of the columns of each part; all in one where they fit, or where the first leave no room."""
    first = list(range(min(keys, len(widths))))
    left = room - sum(widths[place] + GAP for place in first)
    parts: list[list[int]] = []
    taken = 0
    for place in range(len(first), len(widths)):
        taken += widths[place] + GAP
        if not parts or taken - GAP > left:
            parts.append([*first])
            taken = widths[place] + GAP
        parts[-1].append(place)
    return parts or [first]


def mean_and_std(mean: float | None, std: float | None, unit: str | None = "%") -> str:
    """Both in the digits of the unit."""
    if mean is None:
        return ""
    return number(mean, unit) if std is None else f"{number(mean, unit)} ± {number(std, unit)}"
