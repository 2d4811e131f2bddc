"""A generated history: whole, repeatable, and named for what it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from engine.settings import Settings
from store.generated import generate_history
from store.reader import open_read_only


def test_a_generated_history_is_marked_synthetic_throughout(settings: Settings, empty_database: Path) -> None:
    settings.home.mkdir(parents=True)
    shutil.copyfile(empty_database, settings.database)
    generate_history(settings, runs=34, seeds=2, epochs=3)
    with open_read_only(settings) as reader:
        rows = reader.query("results").to_pylist()
        assert len(rows) == 34
        assert all(row["synthetic"] and row["counted"] and row["tags"] == ["synthetic"] for row in rows)
        assert all(row["run"].startswith("synthetic") and row["sweep"].startswith("synthetic") for row in rows)
        assert {group["n"] for group in reader.query("groups").to_pylist()} == {2}
        assert len({row["dataset"] for row in rows}) == 1
        assert reader.query("epochs", runs=rows[0]["run"])["epoch"].to_pylist() == [1, 2, 3]
        assert None not in [row["memory_density"] for row in reader.query("results", scope="inference").to_pylist()]
