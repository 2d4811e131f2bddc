"""What a person changes in the store: a run's name, tags and notes, and its deletion."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any

import duckdb
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from engine.errors import InputError
from store.lifecycle import UNFINISHED


def _check_tag(tag: str) -> str:
    tag = tag.strip()
    if not tag or len(tag) > 60 or "," in tag:
        raise ValueError(f"the tag {tag!r} is not allowed: a tag has 1 to 60 characters and no comma")
    return tag


Tag = Annotated[str, AfterValidator(_check_tag)]

_TABLES = (
    "epochs",
    "precision",
    "diagnostics",
    "ledger",
    "summary",
    "densities",
    "figures",
    "artifacts",
    "measurements",
    "attempts",
    "runs",
)


class RunEdit(BaseModel):
    """Fields to change; what is absent stays, null clears."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] | None = None
    tags: Annotated[list[Tag], Field(max_length=50)] | None = None
    notes: Annotated[str, StringConstraints(max_length=20_000)] | None = None


def edit_run(connection: duckdb.DuckDBPyConnection, run: str, edit: RunEdit) -> None:
    """Change the given fields and commit. Raises InputError for an unknown run."""
    _state(connection, run)
    values: dict[str, Any] = {name: getattr(edit, name) or None for name in sorted(edit.model_fields_set)}
    if "tags" in values:
        values["tags"] = list(dict.fromkeys(edit.tags or []))
    if not values:
        return
    connection.begin()
    try:
        assignments = ", ".join(f"{name} = ${name}" for name in values)
        connection.execute(f"UPDATE runs SET {assignments} WHERE run = $run", {**values, "run": run})
        _record_due(connection, run)
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed has left no transaction
            connection.rollback()
        raise


def delete_run(connection: duckdb.DuckDBPyConnection, run: str) -> None:
    """Delete a run that is over from every table and commit. Raises InputError where it is not over."""
    state = _state(connection, run)
    if state in UNFINISHED:
        raise InputError(f"the run {run!r} is {state}: cancel it before deleting it")
    connection.begin()
    try:
        for table in _TABLES:
            connection.execute(f"DELETE FROM {table} WHERE run = $1", [run])
        connection.execute("INSERT OR IGNORE INTO records_due VALUES ($1)", [run])
        connection.commit()
    except BaseException:
        with suppress(duckdb.Error):  # a commit that failed has left no transaction
            connection.rollback()
        raise


def _state(connection: duckdb.DuckDBPyConnection, run: str) -> str:
    rows: Sequence[Any] = connection.execute("SELECT state FROM runs WHERE run = $1", [run]).fetchall()
    if not rows:
        raise InputError(f"there is no run {run!r}")
    return rows[0][0]


def _record_due(connection: duckdb.DuckDBPyConnection, run: str) -> None:
    """A run that is over has a record file, which must follow the change."""
    connection.execute(
        "INSERT OR IGNORE INTO records_due SELECT run FROM runs WHERE run = $1 AND ended_at IS NOT NULL", [run]
    )
