"""Saved views: a page of the dashboard as its link shows it, with a title and a note.

Each is a row of the table ``views`` and a file ``BITFRONT_HOME/views/<view>.json``, from which `bitfront rebuild` makes
the row again.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import duckdb
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from engine.errors import BitfrontError, InputError
from engine.events import new_run_id
from store.records import write_atomically

Page = Literal["compare", "runs", "launch", "sweeps", "search"]
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Note = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000)]
Query = Annotated[str, StringConstraints(max_length=8_000, pattern=r"^[!-~]*$")]
"""Percent-encoded, so printable ASCII only."""


class NewView(BaseModel):
    """What somebody saves."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Title
    note: Note | None = None
    page: Page
    query: Query = ""


class ViewEdit(BaseModel):
    """Fields to change; what is absent stays, a note that is null is cleared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Title | None = None
    note: Note | None = None


class _Kept(NewView):
    """A view as its file has it."""

    view: Annotated[str, Field(pattern=r"^[0-9a-z]{14}$")]
    created_at: datetime


def add_view(connection: duckdb.DuckDBPyConnection, folder: Path, new: NewView) -> str:
    """Keep a view, commit, and give its id. Raises BitfrontError where its file cannot be written."""
    row = new.model_dump() | {"note": new.note or None, "view": new_run_id(), "created_at": datetime.now(UTC)}
    with _Change(connection):
        names = ", ".join(row)
        connection.execute(f"INSERT INTO views ({names}) VALUES ({', '.join(f'${name}' for name in row)})", row)
        _write(folder, row)
    return row["view"]


def edit_view(connection: duckdb.DuckDBPyConnection, folder: Path, view: str, edit: ViewEdit) -> None:
    """Change the given fields and commit. Raises InputError for an unknown view."""
    row = _find(connection, view)
    changed = {name: getattr(edit, name) or None for name in edit.model_fields_set}
    if changed.get("title", "") is None:
        raise InputError("a view needs a title: 1 to 200 characters")
    row |= changed
    with _Change(connection):
        connection.execute(
            "UPDATE views SET title = $title, note = $note WHERE view = $view",
            {name: row[name] for name in ("title", "note", "view")},
        )
        _write(folder, row)


def delete_view(connection: duckdb.DuckDBPyConnection, folder: Path, view: str) -> None:
    """Forget a view and commit. Raises InputError for an unknown one."""
    _find(connection, view)
    with _Change(connection):
        connection.execute("DELETE FROM views WHERE view = $1", [view])
        with suppress(FileNotFoundError):
            _path(folder, view).unlink()


def read_kept(folder: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of ``views`` that the files hold, and a sentence for each file that cannot be read."""
    rows, faults = [], []
    for path in sorted(folder.glob("[!.]*.json")):
        try:
            found = _Kept.model_validate_json(path.read_text(encoding="utf-8"))
            if found.view == path.stem:
                rows.append(found.model_dump())
            else:
                faults.append(f"the saved view {path} is a copy of {found.view}: it is passed over")
        except (OSError, ValueError, ValidationError) as error:
            faults.append(f"the saved view {path} cannot be read: {type(error).__name__}")
    return rows, faults


def write_all(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write every view's file, of a database that has come from elsewhere. Raises BitfrontError where it cannot."""
    for row in connection.sql("SELECT * FROM views").to_arrow_table().to_pylist():
        _write(folder, row)


class _Change:
    """A transaction: committed where its body ends, rolled back where it raises."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.begin()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._connection.commit()
            return
        with suppress(duckdb.Error):
            self._connection.rollback()


def _find(connection: duckdb.DuckDBPyConnection, view: str) -> dict[str, Any]:
    found = connection.sql("SELECT * FROM views WHERE view = $view", params={"view": view}).to_arrow_table().to_pylist()
    if not found:
        raise InputError(f"there is no saved view {view!r}")
    return found[0]


def _path(folder: Path, view: str) -> Path:
    return folder / f"{view}.json"


def _write(folder: Path, row: dict[str, Any]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        plain = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        write_atomically(_path(folder, row["view"]), json.dumps(plain, ensure_ascii=False))
    except OSError as error:
        raise BitfrontError(f"the view cannot be kept in {folder}: {error.strerror}") from None
