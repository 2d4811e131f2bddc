"""Record files of sweeps: one JSON file each, so that a rebuilt database knows which run stands for which cell.

`sweeps.recorded` says whether the file is on disk as the tables have it; a launch sets it back in its own transaction,
so that a killed store catches up at its next start.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from store.records import RecordError, write_atomically

FORMAT = 1
"""Version of the files' form; another one is refused."""


def sweep_path(folder: Path, sweep: str) -> Path:
    """Where a sweep's record lies; its id holds what a person named it, which need not be fit for a file's name."""
    return folder / f"{hashlib.sha256(sweep.encode()).hexdigest()[:16]}.json"


def write_due_sweeps(connection: duckdb.DuckDBPyConnection, folder: Path, *, at_most: int = 10) -> int:
    """Write the files of the sweeps that lack one; how many."""
    due = connection.sql(f"SELECT * EXCLUDE (recorded) FROM sweeps WHERE NOT recorded ORDER BY sweep LIMIT {at_most}")
    rows = due.to_arrow_table().to_pylist()
    for row in rows:
        folder.mkdir(parents=True, exist_ok=True)
        found = connection.sql(
            "SELECT * EXCLUDE (sweep) FROM sweep_cells WHERE sweep = $sweep ORDER BY place",
            params={"sweep": row["sweep"]},
        )
        record = {
            "record": FORMAT,
            **row,
            "plan": json.loads(row["plan"]),
            "launched_at": row["launched_at"].isoformat(),
            "cells": found.to_arrow_table().to_pydict(),
        }
        write_atomically(
            sweep_path(folder, row["sweep"]), json.dumps(record, ensure_ascii=False, separators=(",", ":"))
        )
        connection.execute("UPDATE sweeps SET recorded = true WHERE sweep = $1", [row["sweep"]])
    return len(rows)


def read_sweep_record(path: Path) -> dict[str, list[dict[str, Any]]]:
    """A record file as rows of `sweeps` and `sweep_cells`. Raises RecordError, one sentence."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.pop("record") != FORMAT:
            raise RecordError(f"the record {path} has a version that this Bitfront does not read: it reads {FORMAT}")
        columns = record.pop("cells")
        names, values = list(columns), zip(*columns.values(), strict=True)
        cells = [{"sweep": record["sweep"], **dict(zip(names, row, strict=True))} for row in values]
        times = {"launched_at": datetime.fromisoformat(record["launched_at"])}
        return {
            "sweeps": [{**record, **times, "plan": json.dumps(record["plan"]), "recorded": True}],
            "sweep_cells": cells,
        }
    except RecordError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"the record {path} cannot be read: {type(error).__name__} {error}") from None
