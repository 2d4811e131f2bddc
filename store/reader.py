"""Reading the database file itself, while no store runs."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from engine.settings import Settings
from store.database import open_for_reading
from store.queries import get_query


class FileReader:
    """The named queries on the home's file; the same ``query`` as the client's."""

    def __init__(self, settings: Settings) -> None:
        self._connection = open_for_reading(settings.database)

    def query(self, name: str, **parameters: Any) -> pa.Table:
        """Run a named query; None stands for the default. Raises InputError for a bad name or parameter."""
        given = {key: value for key, value in parameters.items() if value is not None}
        return get_query(name).run(self._connection, given)

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> FileReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_read_only(settings: Settings) -> FileReader:
    """Open the home's database for reading. Raises DatabaseError where there is none, or a store holds it."""
    return FileReader(settings)
