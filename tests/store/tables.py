"""Reading whole tables in tests."""

from __future__ import annotations

from typing import Any

import duckdb

from store.queries import get_query

HISTORY = ("runs", "attempts", "epochs", "precision", "diagnostics", "ledger", "summary", "densities")
"""The tables that a run's life fills."""


def rows(connection: duckdb.DuckDBPyConnection, table: str) -> list[dict[str, Any]]:
    """Every row of a table, in a fixed order."""
    return connection.sql(f"SELECT * FROM {table} ORDER BY ALL").to_arrow_table().to_pylist()


def snapshot(connection: duckdb.DuckDBPyConnection) -> dict[str, list[dict[str, Any]]]:
    """Every table that a run's life fills."""
    return {table: rows(connection, table) for table in HISTORY}


def ask(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[dict[str, Any]]:
    """A named query's rows."""
    return get_query(name).run(connection, parameters).to_pylist()
