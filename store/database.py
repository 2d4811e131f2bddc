"""The DuckDB file: how it is opened, what version its schema has, who may hold it.

One process opens it for writing and locks out every other, readers too. Nothing is ever fetched from
the network: extensions are neither installed nor loaded on demand.
"""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import duckdb

from engine.errors import BitfrontError

SCHEMA_VERSION = 5
"""Version of schema.sql. An older database is brought up to it, step by step, by migrations/to_N.sql as it is opened;
a newer one is refused."""

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "threads": "2",
    "memory_limit": "2GB",
}


class DatabaseError(BitfrontError):
    """The database cannot be used: absent, held by another process, broken, or of another version."""


def _views_version() -> str:
    """Tells one text of views.sql from another, so that they are made anew where they changed."""
    return hashlib.sha256(_resource("views.sql").encode()).hexdigest()[:16]


def _resource(name: str) -> str:
    return files("store").joinpath(name).read_text(encoding="utf-8")


def open_for_writing(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the database, made with its tables where absent. Raises DatabaseError, one sentence."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseError(f"the folder {path.parent} cannot be made: {error.strerror}") from None
    connection = _connect(path, read_only=False)
    try:
        tables = connection.execute("SELECT table_name FROM duckdb_tables() WHERE table_name = 'meta'").fetchall()
        if not tables:
            connection.begin()
            connection.execute(_resource("schema.sql"))
            connection.execute("INSERT INTO meta VALUES ('schema_version', $1)", [str(SCHEMA_VERSION)])
            connection.commit()
        _migrate(connection, path, check_version(connection, path))
        if read_meta(connection, "views") != _views_version():
            connection.execute(_resource("views.sql"))
            write_meta(connection, "views", _views_version())
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the database read-only, while no store holds it; an older Bitfront's is brought up to date first.

    Raises DatabaseError, one sentence.
    """
    read_version(path)
    connection = _connect(path, read_only=True)
    if read_meta(connection, "views") != _views_version() or check_version(connection, path) < SCHEMA_VERSION:
        connection.close()
        open_for_writing(path).close()
        connection = _connect(path, read_only=True)
    return connection


def read_version(path: Path) -> int:
    """Schema version of a file that this Bitfront can use, which stays as it is. Raises DatabaseError, one sentence."""
    if not path.exists():
        raise DatabaseError(f"there is no database at {path}: nothing was run yet, or BITFRONT_HOME names another home")
    connection = _connect(path, read_only=True)
    try:
        return check_version(connection, path)
    finally:
        connection.close()


def _migrate(connection: duckdb.DuckDBPyConnection, path: Path, version: int) -> None:
    """Bring the tables up to the present version: all the steps that are missing, or none. Raises DatabaseError."""
    if version == SCHEMA_VERSION:
        return
    connection.begin()
    try:
        for step in range(version + 1, SCHEMA_VERSION + 1):
            connection.execute(_resource(f"migrations/to_{step}.sql"))
        write_meta(connection, "schema_version", str(SCHEMA_VERSION))
        connection.commit()
    except duckdb.Error as error:
        connection.rollback()
        raise DatabaseError(
            f"the database {path} cannot be brought from schema version {version} to {SCHEMA_VERSION} "
            f"({str(error).splitlines()[0]}): run `bitfront rebuild`"
        ) from None


def _connect(path: Path, *, read_only: bool) -> duckdb.DuckDBPyConnection:
    try:
        connection = duckdb.connect(str(path), read_only=read_only, config=_CONFIG)
    except duckdb.Error as error:
        raise DatabaseError(_explain(str(error), path)) from None
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def _explain(message: str, path: Path) -> str:
    if "Could not set lock" in message:
        found = re.search(r"PID (\d+)", message)
        holder = f"process {found[1]}" if found else "another process"
        return f"the database {path} is held by {holder}: a store is already running on this home"
    if "Permission denied" in message:
        return f"the database {path} may not be opened by this user: permission denied"
    return f"the database {path} cannot be opened ({message.splitlines()[0]}): run `bitfront rebuild`"


def check_version(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """The file's schema version. Raises DatabaseError where it is not a store's file, or has a version unknown here."""
    try:
        version = read_meta(connection, "schema_version")
    except duckdb.Error:
        raise DatabaseError(f"{path} is not a Bitfront database") from None
    if version is None or version not in [str(known) for known in range(1, SCHEMA_VERSION + 1)]:
        raise DatabaseError(
            f"the database {path} has schema version {version}, this Bitfront knows versions up to {SCHEMA_VERSION}: "
            "update Bitfront, or run `bitfront rebuild`"
        )
    return int(version)


def read_meta(connection: duckdb.DuckDBPyConnection, key: str) -> str | None:
    """A value of the table `meta`; None where it is not set."""
    rows = connection.execute("SELECT value FROM meta WHERE key = $1", [key]).fetchall()
    return rows[0][0] if rows else None


def write_meta(connection: duckdb.DuckDBPyConnection, key: str, value: str) -> None:
    """Set a value of the table `meta` within the caller's transaction."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ($1, $2)", [key, value])
