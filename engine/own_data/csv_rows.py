"""CSV files with a header, row by row, with their line numbers."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import InputError
from engine.own_data.content import SPLITS

LONGEST_LABEL = 40
"""Digits of a class number, zeros before it and all."""


@dataclass(frozen=True)
class Rows:
    """A whole table as text."""

    file: str
    header: list[str]
    lines: list[int]
    """The line of each row in the file, counted from 1 (the header)."""
    cells: list[list[str]]

    def place(self, row: int) -> str:
        return f"{self.file}, line {self.lines[row]}" if row < len(self.lines) else self.file

    def column(self, name: str) -> list[str]:
        index = self.header.index(name)
        return [row[index] for row in self.cells]


def read_rows(path: Path) -> Rows:
    """Read a table. Raises InputError, with the line, for what is no CSV with a header."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [(number, row) for number, row in _numbered(file, path.name) if any(cell.strip() for cell in row)]
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path.name} cannot be read: it is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    if not lines:
        raise InputError(f"{path.name} is empty: its first line names the columns")
    header = [name.strip() for name in lines[0][1]]
    repeated = next((name for name, times in Counter(header).items() if times > 1), None)
    if repeated is not None:
        raise InputError(f"{path.name}, line {lines[0][0]}: the column {repeated!r} is there twice")
    for number, row in lines[1:]:
        if len(row) != len(header):
            raise InputError(f"{path.name}, line {number}: {len(row)} cells, but the header has {len(header)}")
    return Rows(
        path.name, header, [number for number, _ in lines[1:]], [[cell.strip() for cell in row] for _, row in lines[1:]]
    )


def _numbered(file, name: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(file, strict=True)
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{name}, line {reader.line_num}: it is not CSV: {error}") from None


def numbers(rows: Rows, columns: list[str]) -> np.ndarray:
    """These columns as float32 [rows, columns]. Raises InputError with the line of what is no number."""
    found = np.empty((len(rows.cells), len(columns)), dtype=np.float32)
    place_of = {name: place for place, name in enumerate(rows.header)}
    places = [place_of[name] for name in columns]
    for index, row in enumerate(rows.cells):
        for at, place in enumerate(places):
            try:
                found[index, at] = float(row[place])
            except ValueError:
                raise InputError(
                    f"{rows.place(index)}: {row[place]!r} in the column {columns[at]} is not a number"
                ) from None
    return found


def classes(rows: Rows, column: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """A column of class numbers, or names, as int64 labels and the names; an empty cell is −1."""
    texts = rows.column(column)
    given = sorted({text for text in texts if text})
    if all(text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() for text in given):
        for index, text in enumerate(texts):
            if len(text) > LONGEST_LABEL or (text and not 0 <= int(text) < 2**31):
                raise InputError(f"{rows.place(index)}: the label {text[:40]} is out of range: labels go from 0 up")
        return np.array([int(text) if text else -1 for text in texts], dtype=np.int64), ()
    for index, text in enumerate(texts):
        if _is_number(text):
            raise InputError(f"{rows.place(index)}: the label {text!r} is neither a whole number nor a name")
    number = {name: index for index, name in enumerate(given)}
    return np.array([number[text] if text else -1 for text in texts], dtype=np.int64), tuple(given)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def splits(rows: Rows) -> dict[str, np.ndarray]:
    """The column ``split`` as masks; empty where there is none. An empty cell is in no split."""
    if "split" not in rows.header:
        return {}
    texts = rows.column("split")
    for index, text in enumerate(texts):
        if text not in ("", *SPLITS):
            raise InputError(
                f"{rows.place(index)}: the split {text!r} is unknown. Allowed: {', '.join(SPLITS)}, or empty"
            )
    return {split: np.array([text == split for text in texts]) for split in SPLITS}
