"""Record files of searches: one JSON file each, so that a rebuilt database knows what they asked for and found.

`records_due` names a search beside the runs: whatever is said of it puts it there, in the same transaction.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from store.records import RecordError, record_path, write_atomically

FORMAT = 1
"""Version of the files' form; another one is refused."""

_TIMES = ("submitted_at", "ended_at")
_JSON = ("file", "result")


def make_all_due(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Put the searches that have no file on the list: those of an older Bitfront, those of a backup elsewhere."""
    known = [row[0] for row in connection.execute("SELECT search FROM searches").fetchall()]
    missing = [search for search in known if not record_path(folder, search).exists()]
    connection.execute("INSERT OR IGNORE INTO records_due SELECT unnest($1)", [missing])


def write_due_searches(connection: duckdb.DuckDBPyConnection, folder: Path, *, at_most: int = 10) -> int:
    """Write the files of the searches in `records_due`, then take them off; how many."""
    rows = (
        connection.sql(f"SELECT * FROM searches WHERE search IN (SELECT run FROM records_due) LIMIT {at_most}")
        .to_arrow_table()
        .to_pylist()
    )
    for row in rows:
        folder.mkdir(parents=True, exist_ok=True)
        trials = connection.sql(
            "SELECT * EXCLUDE (search) FROM trials WHERE search = $search ORDER BY number",
            params={"search": row["search"]},
        )
        times = {name: row[name].isoformat() if row[name] else None for name in _TIMES}
        texts = {name: json.loads(row[name]) if row[name] else None for name in _JSON}
        record = {"record": FORMAT, **row, **times, **texts, "trials": trials.to_arrow_table().to_pylist()}
        path = record_path(folder, row["search"])
        write_atomically(path, json.dumps(record, ensure_ascii=False, separators=(",", ":")))
        connection.execute("DELETE FROM records_due WHERE run = $1", [row["search"]])
    return len(rows)


def read_search_record(path: Path) -> dict[str, list[dict[str, Any]]]:
    """A record file as rows of `searches` and `trials`. Raises RecordError, one sentence."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.pop("record") != FORMAT:
            raise RecordError(f"the record {path} has a version that this Bitfront does not read: it reads {FORMAT}")
        if path != record_path(path.parent, record["search"]):
            raise RecordError(
                f"the record {path} is of the search {record['search']}: a copy under another name counts not"
            )
        trials = [{"search": record["search"], **row} for row in record.pop("trials")]
        times = {name: datetime.fromisoformat(record[name]) if record[name] else None for name in _TIMES}
        texts = {name: None if record[name] is None else json.dumps(record[name]) for name in _JSON}
        return {"searches": [{**record, **times, **texts}], "trials": trials}
    except RecordError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"the record {path} cannot be read: {type(error).__name__} {error}") from None
