"""Tables as files to download: CSV, Parquet, JSON, made when somebody asks for one."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd
import pyarrow as pa
import streamlit as st

from app.phrases import count
from store.export import FORMATS, export

TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "json": "application/json"}


def show_downloads(tables: Callable[[], Mapping[str, pd.DataFrame]], name: str) -> None:
    """A button that opens the formats of each table, by its title.

    ``tables`` is asked once somebody opens it. Where one has a column ``synthetic`` with a run of generated data in it,
    the files' names say so.
    """
    with st.popover(
        "Download", icon=":material/download:", width="content", key="download", on_change="rerun"
    ) as place:
        if not place.open:
            return
        found = tables()
        generated = any(table["synthetic"].any() for table in found.values() if "synthetic" in table)
        prefix = "synthetic-" if generated else ""
        for title, table in found.items():
            st.markdown(f"**{title}**, {count(len(table), 'row')}")
            slug = title.lower().replace(" ", "-")
            with st.container(horizontal=True):
                for format in FORMATS:
                    st.download_button(
                        format.upper() if format != "parquet" else "Parquet",
                        partial(file_of, table, format),
                        f"{prefix}{name}-{slug}.{format}",
                        TYPES[format],
                        key=f"download-{slug}-{format}",
                        on_click="ignore",
                    )


def file_of(table: pd.DataFrame, format: str) -> bytes:
    """The table as a file of a format (``store.export``)."""
    stream = io.BytesIO()
    export(pa.Table.from_pandas(table, preserve_index=False), format, stream)
    return stream.getvalue()
