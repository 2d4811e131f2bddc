"""Copies of the database: a consistent one while the store runs, and the way back.

A backup is one DuckDB file. It holds all that the record files hold, so restoring writes those again too.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import duckdb

from engine.errors import InputError
from engine.settings import Settings
from store.client import StoreUnavailable, connect
from store.database import open_for_reading, open_for_writing, read_version
from store.saved_views import write_all


def backup_open(connection: duckdb.DuckDBPyConnection, target: Path) -> Path:
    """Copy the open database into a new file; its absolute path. Raises InputError where it cannot."""
    try:
        target = target.expanduser().absolute()
        exists, has_folder = target.exists(), target.parent.is_dir()
    except (OSError, RuntimeError) as error:  # a name that is too long; the home of nobody
        raise InputError(f"the backup cannot be written to {target}: {error}") from None
    if exists:
        raise InputError(f"{target} exists already: name a new file")
    if not has_folder:
        raise InputError(f"there is no folder {target.parent} to write the backup into")
    part = target.with_name(f".{target.name}.part")
    try:
        part.unlink(missing_ok=True)
        _copy(connection, part)
        os.replace(part, target)
    except (OSError, duckdb.IOException) as error:
        raise InputError(f"the backup cannot be written to {target}: {str(error).splitlines()[0]}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return target


def _copy(connection: duckdb.DuckDBPyConnection, target: Path) -> None:
    source = connection.execute("SELECT current_database()").fetchall()[0][0]
    path = str(target).replace("'", "''")
    connection.execute(f"ATTACH '{path}' AS backup")
    try:
        connection.execute(f'COPY FROM DATABASE "{source}" TO backup')
    finally:
        connection.execute("DETACH backup")


def backup(settings: Settings, target: Path) -> Path:
    """Copy the home's database: by its store if one runs, else from the file. Raises DatabaseError or InputError."""
    target = target.expanduser().absolute()
    try:
        with connect(settings) as client:
            client.backup(str(target))
        return target
    except StoreUnavailable:
        open_for_reading(settings.database).close()  # says so where there is none
    connection = open_for_writing(settings.database)
    try:
        return backup_open(connection, target)
    finally:
        connection.close()


def restore(settings: Settings, source: Path) -> Path:
    """Put a backup in the place of the home's database, while no store runs; where the replaced one went.

    The files of saved views are written now, the record files at the store's next start. Raises DatabaseError,
    InputError, or BitfrontError where a view's file cannot be written.
    """
    source = source.expanduser().absolute()
    if not source.is_file():
        raise InputError(f"there is no backup {source}")
    read_version(source)  # says so where it is no backup
    open_for_writing(settings.database).close()  # no store may hold it; its log is folded into the file
    part = settings.database.with_name(f".{settings.database.name}.part")
    shutil.copyfile(source, part)
    connection = open_for_writing(part)
    connection.execute("INSERT OR IGNORE INTO records_due SELECT run FROM runs WHERE ended_at IS NOT NULL")
    connection.execute("INSERT OR IGNORE INTO records_due SELECT search FROM searches")
    connection.execute("UPDATE sweeps SET recorded = false")
    connection.close()
    replaced = put_in_place(settings.database, part)
    # Only now: a restore that fails before leaves the home as it was.
    connection = open_for_writing(settings.database)
    try:
        write_all(connection, settings.saved_views)
    finally:
        connection.close()
    return replaced


def put_in_place(database: Path, part: Path) -> Path:
    """Replace the database by a new file, keeping the old one beside it; where the old one went."""
    replaced = database.with_name(f"{database.stem}.replaced{database.suffix}")
    if database.exists():
        os.replace(database, replaced)
    log = database.with_name(f"{database.name}.wal")
    if log.exists():
        os.replace(log, replaced.with_name(f"{replaced.name}.wal"))
    os.replace(part, database)
    return replaced
