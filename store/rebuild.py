"""Makes the database anew from the record files of the runs that are over, of sweeps, searches and saved views."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import structlog

from engine.settings import Settings
from store.backup import put_in_place
from store.database import DatabaseError, open_for_writing
from store.ingest import insert_rows
from store.records import PARTS, RecordError, read_record
from store.saved_views import read_kept
from store.search_records import read_search_record
from store.sweep_records import read_sweep_record

_BATCH = 200

log = structlog.get_logger(__name__)


def rebuild(settings: Settings) -> int:
    """Make the database from the home's record files; the number of runs. The old file is kept beside it.

    Runs that are not over have no record, so they are not in the new database. A record that cannot be read
    is named in the log and left out. Raises DatabaseError where a store holds the database.
    """
    _refuse_while_held(settings.database)
    part = settings.database.with_name(f".{settings.database.name}.part")
    part.unlink(missing_ok=True)
    connection = open_for_writing(part)
    count = 0
    try:
        paths = sorted(path for path in settings.records.glob("*.json") if not path.name.startswith("."))
        for start in range(0, len(paths), _BATCH):
            count += _insert(connection, paths[start : start + _BATCH])
        views, faults = read_kept(settings.saved_views)
        for fault in faults:
            log.warning(fault)
        insert_rows(connection, "views", views)
        _insert_each(connection, settings.sweep_records, read_sweep_record)
        _insert_each(connection, settings.search_records, read_search_record)
    except BaseException:
        connection.close()
        part.unlink(missing_ok=True)
        raise
    connection.close()
    put_in_place(settings.database, part)
    return count


def _insert_each(
    connection: duckdb.DuckDBPyConnection, folder: Path, read: Callable[[Path], dict[str, list[dict[str, Any]]]]
) -> None:
    """The rows of a folder's record files, which are few."""
    for path in sorted(folder.glob("[!.]*.json")):
        connection.execute("BEGIN")
        try:
            for table, rows in read(path).items():
                insert_rows(connection, table, rows)
            connection.execute("COMMIT")
        except RecordError as error:
            connection.execute("ROLLBACK")
            log.warning(str(error))
        except (duckdb.Error, KeyError, TypeError, ValueError) as error:  # fields that there are not, or of other types
            connection.execute("ROLLBACK")
            log.warning(f"the record {path} cannot be taken up: {str(error).splitlines()[0]}")


def _refuse_while_held(database: Path) -> None:
    """A broken file is no obstacle (it is why people rebuild); one that a store holds is."""
    if not database.exists():
        return
    try:
        open_for_writing(database).close()
    except DatabaseError as error:
        if "is held by" in str(error):
            raise


def _insert(connection: duckdb.DuckDBPyConnection, paths: list[Path]) -> int:
    tables: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path in paths:
        try:
            record = read_record(path)
        except RecordError as error:
            log.warning(str(error))
            continue
        for table, rows in record.items():
            tables[table] += rows
    connection.begin()
    try:
        for table in ("runs", *PARTS):
            insert_rows(connection, table, tables[table])
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return len(tables["runs"])
