"""Tables of a page as files."""

from __future__ import annotations

import io
import json

import pandas as pd
import pyarrow.parquet as pq

from app.downloads import file_of

TABLE = pd.DataFrame({"Scheme": ["int8", "=1+1"], "Test": [81.5, None]})


def test_a_table_is_a_file_in_each_format() -> None:
    assert file_of(TABLE, "csv").decode() == "Scheme,Test\nint8,81.5\n'=1+1,\n"
    rows = [{"Scheme": "int8", "Test": 81.5}, {"Scheme": "=1+1", "Test": None}]
    assert json.loads(file_of(TABLE, "json")) == rows
    assert pq.read_table(io.BytesIO(file_of(TABLE, "parquet"))).to_pylist() == rows
