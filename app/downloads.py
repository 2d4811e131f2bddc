"""Tables as files to download: CSV, Parquet, JSON, made when somebody asks for one."""

from __future__ import annotations

import io
from functools import partial

import pandas as pd
import pyarrow as pa
import streamlit as st

from store.export import FORMATS, export

TYPES = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet", "json": "application/json"}


def show_downloads(tables: dict[str, pd.DataFrame], name: str, *, synthetic: bool) -> None:
    """A button that opens the formats of each table, by its title; generated data says so in the file's name."""
    prefix = "synthetic-" if synthetic else ""
    with st.popover("Download", icon=":material/download:", width="content"):
        for title, table in tables.items():
            st.markdown(f"**{title}**, {len(table)} rows")
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
