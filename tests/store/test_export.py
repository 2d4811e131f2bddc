"""Tables as files."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import InputError
from store.export import export

TABLE = pa.table(
    {
        "run": ["r0", "r1"],
        "test": [80.5, None],
        "tags": [["a", "b"], []],
        "at": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None],
        "note": ["=1+1", 'say "hi",\nnow'],
    },
    schema=pa.schema(
        {
            "run": pa.string(),
            "test": pa.float64(),
            "tags": pa.list_(pa.string()),
            "at": pa.timestamp("us", tz="UTC"),
            "note": pa.string(),
        }
    ),
)


def written(format: str) -> bytes:
    stream = io.BytesIO()
    export(TABLE, format, stream)
    return stream.getvalue()


def test_csv() -> None:
    assert written("csv").decode() == (
        'run,test,tags,at,note\nr0,80.5,"a,b",2026-01-02T03:04:05+00:00,\'=1+1\nr1,,,,"say ""hi"",\nnow"\n'
    )


def test_json() -> None:
    first, second = json.loads(written("json"))
    assert first == {
        "run": "r0",
        "test": 80.5,
        "tags": ["a", "b"],
        "at": "2026-01-02T03:04:05+00:00",
        "note": "=1+1",
    }
    assert second["test"] is None


def test_parquet() -> None:
    assert pq.read_table(io.BytesIO(written("parquet"))).equals(TABLE)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InputError) as failure:
        written("xls")
    assert str(failure.value) == "unknown export format 'xls'. Allowed: csv, parquet, json"
