"""Record files: one JSON file a run that is over, from which the database can be made again.

The table `records_due` names the runs whose file is not what the tables say (and the searches: store.search_records);
it is filled in the transaction that changes them and emptied after the file is on disk, so that a killed store catches
up at its next start.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from engine.errors import BitfrontError

FORMAT = 5
"""Version of the files' form. Older ones are read, with what they lack filled in; a newer one is refused."""

PARTS = (
    "attempts",
    "precision",
    "diagnostics",
    "ledger",
    "summary",
    "densities",
    "figures",
    "artifacts",
    "measurements",
    "epochs",
)
"""The tables of which a record holds a run's rows (beside its row of `runs`)."""

_JSON = ("spec", "provenance", "software")
_TIMES = ("submitted_at", "started_at", "heard_at", "ended_at", "measured_at")
_ORDER = {
    "attempts": "attempt",
    "diagnostics": "epoch, layer, part, site, product, bucket NULLS FIRST",
    "densities": "rank",
    "epochs": "epoch",
    "summary": "run",
}


class RecordError(BitfrontError):
    """A record file cannot be read."""


def record_path(folder: Path, run: str) -> Path:
    """Where a run's record lies (a run id is always fit for a file's name: see store.lifecycle)."""
    return folder / f"{run}.json"


def write_due_records(connection: duckdb.DuckDBPyConnection, folder: Path, *, at_most: int = 100) -> int:
    """Write (or remove) the files of the runs in `records_due`, then take them off; how many."""
    rows = connection.execute(
        "SELECT run FROM records_due WHERE run NOT IN (SELECT search FROM searches) ORDER BY run LIMIT $1", [at_most]
    ).fetchall()
    due = [row[0] for row in rows]
    if not due:
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    # One that was resumed is not over any more.
    records = {record["run"]: record for record in read_from_tables(connection, due) if record["ended_at"] is not None}

    def bring_up_to_date(run: str) -> None:
        path = record_path(folder, run)
        if run in records:
            write_atomically(path, json.dumps(records[run], ensure_ascii=False, separators=(",", ":")))
        else:
            path.unlink(missing_ok=True)

    with ThreadPoolExecutor(min(8, len(due))) as pool:  # the disk's syncs wait side by side
        list(pool.map(bring_up_to_date, due))
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    connection.execute("DELETE FROM records_due WHERE run IN (SELECT unnest($1))", [due])
    return len(due)


def write_atomically(path: Path, text: str) -> None:
    """Write the whole file or nothing, and have it on disk before returning."""
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_from_tables(connection: duckdb.DuckDBPyConnection, runs: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The records of these runs, as the tables have them."""
    parts: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for table in PARTS:
        found: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in _rows(connection, table, runs):
            found[row.pop("run")].append(_plain(row))
        parts[table] = found
    for row in _rows(connection, "runs", runs):
        run = row["run"]
        attempts = parts["attempts"][run]
        newest = attempts[-1] if attempts else {}
        summary = parts["summary"][run]
        yield {
            "record": FORMAT,
            **_plain(row),
            "started_at": newest.get("started_at"),
            "provenance": newest.get("provenance"),
            "summary": summary[0] if summary else None,
            "densities": parts["densities"][run],
            "figures": {row["name"]: row["value"] for row in parts["figures"][run]},
            "artifacts": parts["artifacts"][run],
            "measurements": parts["measurements"][run],
            "ledger": parts["ledger"][run],
            "precision": parts["precision"][run],
            "diagnostics": _columns(parts["diagnostics"][run]),
            "history": _columns(parts["epochs"][run]),
            "attempts_detail": attempts,
        }


def read_record(path: Path) -> dict[str, list[dict[str, Any]]]:
    """A record file as rows by table. Raises RecordError, one sentence."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        version = record.pop("record")
        if version not in range(1, FORMAT + 1):
            raise RecordError(f"the record {path} has version {version}, this Bitfront reads versions up to {FORMAT}")
        if version < 2:
            _fill_in_second(record)
        if version < 3:
            _fill_in_third(record)
        if version < 4:
            _fill_in_fourth(record)
        if version < 5:
            _fill_in_fifth(record)
        run = record["run"]
        tables = {
            "attempts": record.pop("attempts_detail"),
            "precision": record.pop("precision"),
            "diagnostics": _by_row(record.pop("diagnostics")),
            "ledger": record.pop("ledger"),
            "summary": [summary] if (summary := record.pop("summary")) else [],
            "densities": record.pop("densities"),
            "figures": [{"name": name, "value": value} for name, value in record.pop("figures").items()],
            "artifacts": record.pop("artifacts"),
            "measurements": record.pop("measurements"),
            "epochs": _by_row(record.pop("history")),
        }
        del record["started_at"], record["provenance"]  # they stand with their attempt
        rows = {name: [_typed({"run": run, **row}) for row in rows] for name, rows in tables.items()}
        return {"runs": [_typed(record)], **rows}
    except RecordError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordError(f"the record {path} cannot be read: {type(error).__name__} {error}") from None


def _rows(connection: duckdb.DuckDBPyConnection, table: str, runs: Sequence[str]) -> list[dict[str, Any]]:
    return (
        connection.sql(
            f"SELECT * FROM {table} WHERE run IN (SELECT unnest($runs)) ORDER BY {_ORDER.get(table, 'ALL')}",
            params={"runs": list(runs)},
        )
        .to_arrow_table()
        .to_pylist()
    )


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with times as text and JSON as values."""
    plain: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, datetime):
            value = value.isoformat()
        elif name in _JSON and isinstance(value, str):
            value = json.loads(value)
        plain[name] = value
    return plain


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of ``_plain``."""
    typed: dict[str, Any] = {}
    for name, value in row.items():
        if name in _TIMES and value is not None:
            value = datetime.fromisoformat(value)
        elif name in _JSON and value is not None:
            sort = name == "spec"
            value = json.dumps(value, sort_keys=sort, separators=(",", ":") if sort else None)
        typed[name] = value
    return typed


def _fill_in_second(record: dict[str, Any]) -> None:
    """What a record of version 1 lacks: every epoch counted, ranges cost nothing, nothing was diagnosed."""
    if record["history"]:
        record["history"]["counts"] = [True] * len(record["history"]["epoch"])
    for row in record["ledger"]:
        row["metadata_bits"] = 0
    record["diagnostics"] = {}


def _fill_in_third(record: dict[str, Any]) -> None:
    """What a record of version 2 lacks, as migrations/to_3.sql has it."""
    history = record["history"]
    for name in ("loss_ratio", "gradient_diversity", "validation_stall", "average_bits"):
        if history:
            history[name] = [None] * len(history["epoch"])
    for row in record["ledger"]:
        row["covered"] = None
    for row in record["precision"]:
        signal = "start" if row["epoch"] == 1 else "epoch clock"
        row |= {"label": row["format"], "signal": signal, "value": None, "threshold": None}
    if record["summary"]:
        record["summary"]["also"] = None
    for row in record["densities"]:
        alike = row["scope"] == "inference" or row["coverage"] == "quantized part"
        memory, arithmetic = (row["memory"], row["arithmetic"]) if alike else (None, None)
        row |= {"arithmetic_thesis": arithmetic, "memory_thesis": memory, "peak_memory_density": memory}


def _fill_in_fourth(record: dict[str, Any]) -> None:
    """What a record of version 3 lacks, as migrations/to_4.sql has it."""
    for row in record["ledger"]:
        row |= {"partner": None, "written": 0, "protected": 0.0, "held_bytes": 0}
    if record["diagnostics"]:
        record["diagnostics"]["accumulator_bits"] = [None] * len(record["diagnostics"]["epoch"])
    record |= {"figures": {}, "artifacts": [], "measurements": []}


def _fill_in_fifth(record: dict[str, Any]) -> None:
    """What a record of version 4 lacks, as migrations/to_5.sql has it."""
    record["parent"] = None
    for row in record["artifacts"]:
        row["content"] = None


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


def _by_row(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """The inverse of ``_columns``."""
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
