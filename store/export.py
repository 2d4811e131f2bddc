"""Arrow tables as files: csv, parquet or json."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from engine.errors import InputError

FORMATS = ("csv", "parquet", "json")


def export(table: pa.Table, format: str, stream: BinaryIO) -> None:
    """Write the table: csv with a header, parquet as it is, or json as a list of rows.

    Times are ISO 8601 in UTC. In csv, lists are joined by commas, nothing stands for null, and text that a
    spreadsheet would run as a formula gets an apostrophe before it. Raises InputError for an unknown format.
    """
    if format == "parquet":
        pq.write_table(table, stream)
    elif format == "json":
        text = json.dumps([_plain(row) for row in table.to_pylist()], ensure_ascii=False, indent=1, allow_nan=False)
        stream.write(text.encode() + b"\n")
    elif format == "csv":
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(table.column_names)
        for batch in table.to_batches(max_chunksize=10_000):
            rows.writerows([_cell(value) for value in row.values()] for row in batch.to_pylist())
        text.detach()
    else:
        raise InputError(f"unknown export format {format!r}. Allowed: {', '.join(FORMATS)}")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        value = ",".join(map(str, value))
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + value
    return value
