"""What is said of searches, into their two tables: what was told once stays, whatever is told again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

import duckdb

from engine.events import OfSearch, SearchEnded, SearchQueued, TrialsAsked


def apply_searches(connection: duckdb.DuckDBPyConnection, said: Sequence[tuple[str, datetime, OfSearch]]) -> None:
    """Write the events of searches in their order, within the caller's transaction; their record files are due."""
    for search, at, body in said:
        connection.execute("INSERT OR IGNORE INTO records_due VALUES ($1)", [search])
        if isinstance(body, SearchQueued):
            connection.execute(
                "INSERT OR IGNORE INTO searches (search, name, file, dataset, model, state, submitted_at) "
                "VALUES ($1, $2, $3, $4, $5, 'running', $6)",
                [search, body.name, json.dumps(body.file), body.dataset, body.model, at],
            )
        elif isinstance(body, TrialsAsked):
            for row in body.rows:
                values = row.model_dump()
                names = ", ".join(values)
                places = ", ".join(f"${name}" for name in values)
                connection.execute(
                    f"INSERT OR IGNORE INTO trials (search, {names}) VALUES ($search, {places})",
                    {"search": search, **values},
                )
        elif isinstance(body, SearchEnded):
            state = "failed" if body.reason else "finished"
            connection.execute(
                "UPDATE searches SET state = $2, reason = $3, result = $4, ended_at = $5 "
                "WHERE search = $1 AND state = 'running'",
                [search, state, body.reason, json.dumps(body.result), at],
            )
        else:
            connection.execute(
                "UPDATE searches SET state = 'cancelled', ended_at = $2 WHERE search = $1 AND state = 'running'",
                [search, at],
            )
