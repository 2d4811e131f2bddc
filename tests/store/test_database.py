"""The database's versions: an older one is brought up to date as it is opened, an unknown one is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.settings import Settings
from store.backup import restore
from store.database import SCHEMA_VERSION, DatabaseError, open_for_writing, read_meta, read_version
from store.ingest import Applied, apply_batch
from store.reader import open_read_only
from tests.store import lives
from tests.store.tables import rows

SCHEMAS = {version: Path(__file__).with_name(f"schema_v{version}.sql") for version in range(1, SCHEMA_VERSION)}
"""The tables of every older version, as they were."""


@pytest.fixture(params=sorted(SCHEMAS))
def version(request: pytest.FixtureRequest) -> int:
    """Each older version of the schema."""
    return request.param


@pytest.fixture
def old(settings: Settings, version: int) -> Path:
    """A home whose database is of an older version, with a run that trained then."""
    settings.home.mkdir(parents=True)
    connection = duckdb.connect(str(settings.database))
    connection.execute(SCHEMAS[version].read_text())
    connection.execute("INSERT INTO meta VALUES ('schema_version', $1), ('stream_position', '7-0')", [str(version)])
    connection.execute(
        """
        INSERT INTO runs BY NAME
        SELECT 'r0' AS run, $1 AS spec, 'g' AS group_id, 'karate' AS dataset, 'gcn' AS model, 'int8' AS scheme,
            0 AS seed, 'cpu' AS device, 3 AS total_epochs, 5 AS priority, 'queue' AS origin, true AS higher_is_better,
            false AS synthetic, now() AS submitted_at, [] AS tags, 'running' AS state, 1 AS attempt, 1 AS attempts,
            0 AS dropped
        """,
        [json.dumps(lives.spec())],
    )
    connection.execute(
        """
        INSERT INTO attempts BY NAME
        SELECT 'r0' AS run, 1 AS attempt, 'running' AS state, 2 AS seq, false AS gap, false AS healed,
            now() AS heard_at, 1 AS epoch, 1 AS epochs, 0.5 AS seconds
        """
    )
    connection.execute(
        """
        INSERT INTO epochs BY NAME
        SELECT 'r0' AS run, 1 AS epoch, 1 AS train_loss, 1 AS val_loss, 1 AS test_loss,
            50 AS train_metric, 60 AS val_metric, 70 AS test_metric, 0.5 AS seconds
        """
    )
    connection.execute(
        """
        INSERT INTO ledger BY NAME
        SELECT 'r0' AS run, 1 AS first_epoch, 3 AS last_epoch, 0 AS layer, 'forward' AS product, 'weight' AS site,
            'int8' AS format, 5 AS macs, 6 AS elements
        """
    )
    connection.execute(
        """
        INSERT INTO precision BY NAME
        SELECT 'r0' AS run, unnest([1, 4]) AS epoch, 0 AS layer, 'forward' AS product, 'weight' AS site,
            unnest(['int4', 'int8']) AS format, 'as planned' AS reason
        """
        + (", unnest(['int4', 'int8']) AS label, unnest(['start', 'epoch clock']) AS signal" if version > 2 else "")
    )
    connection.execute(
        """
        INSERT INTO densities BY NAME
        SELECT 'r0' AS run, 1 AS rank, 'training' AS scope, 'quantized part' AS coverage, 4 AS memory,
            7.7 AS arithmetic, 'published' AS arithmetic_label, 8 AS average_bits
        """
        + (", 7.7 AS arithmetic_thesis, 4 AS memory_thesis, 4 AS peak_memory_density" if version > 2 else "")
    )
    connection.close()
    return settings.database


def columns(connection: duckdb.DuckDBPyConnection) -> list[tuple[Any, ...]]:
    """Every column of every table: name, type, default, whether it may be null."""
    return connection.execute(
        "SELECT table_name, column_name, data_type, column_default, is_nullable FROM duckdb_columns()"
        " WHERE NOT internal AND table_name IN (SELECT table_name FROM duckdb_tables()) ORDER BY ALL"
    ).fetchall()


def test_an_older_database_gets_the_tables_of_a_new_one_and_keeps_its_rows(old: Path, empty_database: Path) -> None:
    connection, new = open_for_writing(old), open_for_writing(empty_database)
    assert columns(connection) == columns(new)
    assert [(row["epoch"], row["val_metric"], row["counts"]) for row in rows(connection, "epochs")] == [(1, 60, True)]
    (ledger,) = rows(connection, "ledger")
    assert [ledger[name] for name in ("elements", "metadata_bits", "partner", "protected")] == [6, 0, None, 0]
    decisions = [(row["epoch"], row["label"], row["signal"], row["value"]) for row in rows(connection, "precision")]
    assert decisions == [(1, "int4", "start", None), (4, "int8", "epoch clock", None)]
    assert [(row["memory"], row["memory_thesis"]) for row in rows(connection, "densities")] == [(4, 4)]
    assert read_meta(connection, "schema_version") == str(SCHEMA_VERSION)
    assert read_meta(connection, "stream_position") == "7-0"
    connection.close()
    new.close()


def test_a_run_that_an_older_store_began_goes_on(old: Path) -> None:
    connection = open_for_writing(old)
    rest = [lives.event("r0", 1, seq, body) for seq, body in ((3, lives.row(2)), (4, lives.diagnostics(2)))]
    assert apply_batch(connection, lives.received(rest)) == Applied(applied=2)
    assert [(row["epoch"], row["counts"]) for row in rows(connection, "epochs")] == [(1, True), (2, True)]
    assert len(rows(connection, "diagnostics")) == 4
    connection.close()


def test_an_older_database_is_read_without_a_store(settings: Settings, old: Path) -> None:
    with open_read_only(settings) as reader:
        assert reader.query("runs")["run"].to_pylist() == ["r0"]
        assert reader.query("epochs", runs="r0")["counts"].to_pylist() == [True]
        assert reader.query("diagnostics", runs="r0").num_rows == 0


def test_views_of_another_bitfront_are_made_anew_before_reading(settings: Settings, empty_database: Path) -> None:
    settings.home.mkdir(parents=True)
    shutil.copyfile(empty_database, settings.database)
    connection = open_for_writing(settings.database)
    connection.execute("CREATE OR REPLACE VIEW run_rows AS SELECT 'nothing of use' AS run")
    connection.execute("UPDATE meta SET value = 'older' WHERE key = 'views'")
    connection.close()
    with open_read_only(settings) as reader:
        assert "test_at_best_val" in reader.query("runs").column_names


def test_an_older_backup_is_restored_and_stays_as_it_is(
    settings: Settings, old: Path, version: int, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(old, copy)
    old.unlink()
    restore(settings, copy)
    assert (read_version(copy), read_version(settings.database)) == (version, SCHEMA_VERSION)
    with open_read_only(settings) as reader:
        assert reader.query("runs")["run"].to_pylist() == ["r0"]


def test_a_step_that_fails_leaves_the_database_as_it_was(old: Path, version: int) -> None:
    broken = duckdb.connect(str(old))
    broken.execute("CREATE TABLE sweep_cells (run VARCHAR)")
    before = columns(broken)
    broken.close()
    with pytest.raises(DatabaseError) as failure:
        open_for_writing(old)
    assert str(failure.value) == (
        f"the database {old} cannot be brought from schema version {version} to {SCHEMA_VERSION} (Catalog Error: "
        'Table with name "sweep_cells" already exists!): run `bitfront rebuild`'
    )
    assert read_version(old) == version
    found = duckdb.connect(str(old))
    assert found.execute("SELECT run, epoch, val_metric FROM epochs").fetchall() == [("r0", 1, 60)]
    assert columns(found) == before
    found.close()


@pytest.mark.parametrize("version", ["99", "0", "two"])
def test_a_database_of_an_unknown_version_is_refused(settings: Settings, empty_database: Path, version: str) -> None:
    settings.home.mkdir(parents=True)
    shutil.copyfile(empty_database, settings.database)
    connection = open_for_writing(settings.database)
    connection.execute("UPDATE meta SET value = $1 WHERE key = 'schema_version'", [version])
    connection.close()
    with pytest.raises(DatabaseError) as failure:
        open_read_only(settings)
    assert str(failure.value) == (
        f"the database {settings.database} has schema version {version}, this Bitfront knows versions up to "
        f"{SCHEMA_VERSION}: update Bitfront, or run `bitfront rebuild`"
    )
