"""Record files, rebuilding from them, backups and the outbox."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
import structlog

from engine.errors import InputError
from engine.events import Envelope, SearchQueued
from engine.settings import Settings
from store.backup import backup, backup_open, restore
from store.database import DatabaseError, open_for_reading, open_for_writing
from store.ingest import Applied, apply_batch
from store.outbox import ingest_outbox
from store.reader import open_read_only
from store.rebuild import rebuild
from store.records import RecordError, read_record, write_due_records
from store.saved_views import NewView, add_view, read_kept
from store.sweep_records import write_due_sweeps
from tests.store import lives
from tests.store.tables import ask, rows, snapshot


def test_a_run_that_is_over_has_a_record_with_its_whole_history(
    connection: duckdb.DuckDBPyConnection, settings: Settings
) -> None:
    apply_batch(connection, lives.received([*lives.finished("r0"), lives.queued("r1")]))
    assert write_due_records(connection, settings.records) == 1
    record = json.loads((settings.records / "r0.json").read_text())
    assert (record["state"], record["attempt"], record["spec"]) == ("finished", 1, lives.spec())
    assert record["history"]["test_metric"] == [31.0, 61.0, 91.0]
    assert record["summary"]["test_at_best_val"] == 80.0
    assert record["provenance"] == {"fingerprint": "abc"}
    assert [len(record[part]) for part in ("ledger", "precision", "densities")] == [1, 2, 3]
    assert record["diagnostics"]["sqnr"] == [21.0, 30.0, 10.0, 41.0]
    assert [path.name for path in settings.records.iterdir()] == ["r0.json"]


def test_a_record_is_written_once(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    apply_batch(connection, lives.received(lives.failed("r0")))
    assert [write_due_records(connection, settings.records) for _ in range(2)] == [1, 0]


def test_rebuilding_gives_the_tables_back(settings: Settings, connection: duckdb.DuckDBPyConnection) -> None:
    life = [*lives.finished("r0"), *lives.failed("r1"), lives.queued("r2")]
    apply_batch(connection, lives.received(life))
    write_due_records(connection, settings.records)
    want = {name: [row for row in found if row["run"] != "r2"] for name, found in snapshot(connection).items()}
    connection.close()
    settings.database.write_bytes(b"damaged")
    assert rebuild(settings) == 2
    again = open_for_writing(settings.database)
    assert snapshot(again) == want
    again.close()
    assert (settings.home / "bitfront.replaced.duckdb").read_bytes() == b"damaged"


SIGNALS = ("loss_ratio", "gradient_diversity", "validation_stall", "average_bits")


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_record_of_an_older_version_is_read_with_what_it_lacks(
    settings: Settings, connection: duckdb.DuckDBPyConnection, version: int
) -> None:
    apply_batch(connection, lives.received([*lives.finished("r0"), *lives.finished("r1")]))
    write_due_records(connection, settings.records)
    connection.close()
    path = settings.records / "r1.json"
    record = json.loads(path.read_text())
    del record["parent"]
    if version < 4:
        del record["figures"], record["artifacts"], record["measurements"]
        del record["diagnostics"]["accumulator_bits"]
        for row in record["ledger"]:
            del row["partner"], row["written"], row["protected"], row["held_bytes"]
    if version < 3:
        for name in SIGNALS:
            del record["history"][name]
        for row in record["precision"]:
            del row["label"], row["signal"], row["value"], row["threshold"]
        for row in record["densities"]:
            del row["arithmetic_thesis"], row["memory_thesis"], row["peak_memory_density"]
        del record["summary"]["also"]
    if version == 1:
        del record["diagnostics"], record["history"]["counts"], record["ledger"][0]["metadata_bits"]
    path.write_text(json.dumps(record | {"record": version}))
    assert rebuild(settings) == 2
    with open_read_only(settings) as reader:
        assert reader.query("epochs", runs="r0,r1")["counts"].to_pylist() == [True] * 6
        assert reader.query("ledger", run="r1")["metadata_bits"].to_pylist() == [0 if version == 1 else 64]
        diagnosed = {"r0"} if version == 1 else {"r0", "r1"}
        assert set(reader.query("diagnostics", runs="r0,r1")["run"].to_pylist()) == diagnosed
        assert reader.query("epochs", runs="r1")["loss_ratio"].to_pylist() == [None] * 3
        if version >= 3:
            assert reader.query("densities", run="r1")["arithmetic_thesis"].to_pylist() == [8.7] * 3
            return
        assert reader.query("precision", runs="r1").select(["label", "signal"]).to_pylist() == [
            {"label": "int8", "signal": "start"},
            {"label": "int8", "signal": "start"},
        ]
        assert reader.query("densities", run="r1")["arithmetic_thesis"].to_pylist() == [7.7, None, 7.7]


def test_rebuilding_leaves_out_a_record_that_cannot_be_read(
    settings: Settings, connection: duckdb.DuckDBPyConnection
) -> None:
    apply_batch(connection, lives.received(lives.finished("r0")))
    write_due_records(connection, settings.records)
    connection.close()
    (settings.records / "r1.json").write_text("{")
    with structlog.testing.capture_logs() as logs:
        assert rebuild(settings) == 1
    assert [entry for entry in logs if "r1.json cannot be read" in str(entry)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"record": 6}', "the record {} has version 6, this Bitfront reads versions up to 5"),
        ('{"record": 5}', "the record {} cannot be read: KeyError 'run'"),
    ],
)
def test_a_record_of_another_form_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "r0.json"
    path.write_text(text)
    with pytest.raises(RecordError) as failure:
        read_record(path)
    assert str(failure.value) == message.format(path)


def test_a_backup_of_an_open_database_is_whole(
    settings: Settings, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    apply_batch(connection, lives.received(lives.finished("r0")))
    copy = backup_open(connection, tmp_path / "it's a copy.duckdb")
    other = open_for_reading(copy)
    assert snapshot(other) == snapshot(connection)
    other.close()
    assert apply_batch(connection, lives.received([lives.queued("r1")], first=50)) == Applied(applied=1)


def test_restoring_brings_the_backup_and_its_records_back(
    settings: Settings, connection: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    search = Envelope(run="s1", at=lives.BEGAN, body=SearchQueued(name="mine", dataset="karate", model="gcn", file={}))
    apply_batch(connection, lives.received([*lives.finished("r0"), lives.launched("a", [("r0", False)]), search]))
    write_due_sweeps(connection, settings.sweep_records)
    view = add_view(connection, settings.saved_views, NewView(title="Front", page="compare"))
    connection.execute("UPDATE sweeps SET recorded = false")  # as restored: its file may not be there
    want = snapshot(connection)
    connection.close()
    copy = backup(settings, tmp_path / "copy.duckdb")
    (settings.saved_views / f"{view}.json").unlink()
    changed = open_for_writing(settings.database)
    apply_batch(changed, lives.received(lives.finished("r1"), first=50))
    changed.close()
    kept = restore(settings, copy)
    again = open_for_writing(settings.database)
    assert snapshot(again) == want
    assert sorted(row["run"] for row in rows(again, "records_due")) == ["r0", "s1"]
    assert write_due_sweeps(again, settings.sweep_records) == 1
    assert [row["view"] for row in read_kept(settings.saved_views)[0]] == [view]
    again.close()
    assert kept.exists()


def test_a_backup_never_overwrites(settings: Settings, connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    target = tmp_path / "copy.duckdb"
    target.write_text("mine")
    with pytest.raises(InputError) as failure:
        backup_open(connection, target)
    assert str(failure.value) == f"{target} exists already: name a new file"
    with pytest.raises(InputError) as failure:
        backup_open(connection, tmp_path / "no" / "copy.duckdb")
    assert str(failure.value) == f"there is no folder {tmp_path / 'no'} to write the backup into"


@pytest.mark.parametrize(("name", "why"), [("a" * 300, "File name too long"), ("~noSuchUser/x", "not determine home")])
def test_a_backup_to_an_impossible_place_is_refused(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, name: str, why: str
) -> None:
    with pytest.raises(InputError) as failure:
        backup_open(connection, Path(name) if name.startswith("~") else tmp_path / name)
    assert str(failure.value).startswith("the backup cannot be written to ")
    assert why in str(failure.value)


def test_what_is_no_backup_is_not_restored(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError) as failure:
        restore(settings, tmp_path / "none")
    assert str(failure.value) == f"there is no backup {tmp_path / 'none'}"
    other = tmp_path / "other.duckdb"
    duckdb.connect(str(other)).close()
    with pytest.raises(DatabaseError) as failure_2:
        restore(settings, other)
    assert str(failure_2.value) == f"{other} is not a Bitfront database"


def test_the_outbox_is_emptied_into_the_tables(settings: Settings, connection: duckdb.DuckDBPyConnection) -> None:
    settings.outbox.mkdir()
    for name in ("r0", "r1"):
        text = "\n".join(item.to_json() for item in lives.finished(name))
        (settings.outbox / f"{name}.jsonl").write_text(text + "\nnot an event\n")
    total = ingest_outbox(connection, settings.outbox)
    assert (total.dead, total.dropped) == (2, 0)
    assert {row["state"] for row in ask(connection, "runs")} == {"finished"}
    assert list(settings.outbox.iterdir()) == []
    assert {row["position"] for row in ask(connection, "dead_letters")} == {"r0.jsonl:11", "r1.jsonl:11"}


def test_an_outbox_file_that_was_committed_before_does_no_harm(
    settings: Settings, connection: duckdb.DuckDBPyConnection
) -> None:
    settings.outbox.mkdir()
    life = lives.finished("r0")
    apply_batch(connection, lives.received(life))
    (settings.outbox / "r0.jsonl").write_text("\n".join(item.to_json() for item in life))
    assert ingest_outbox(connection, settings.outbox) == Applied(dropped=len(life))
    assert len(ask(connection, "epochs", runs="r0")) == 3


def test_without_an_outbox_there_is_nothing_to_ingest(
    settings: Settings, connection: duckdb.DuckDBPyConnection
) -> None:
    assert ingest_outbox(connection, settings.outbox) == Applied()


def test_reading_without_a_database_says_so(settings: Settings) -> None:
    with pytest.raises(DatabaseError) as failure:
        open_read_only(settings)
    assert str(failure.value) == (
        f"there is no database at {settings.database}: nothing was run yet, or BITFRONT_HOME names another home"
    )


def test_no_extension_is_fetched_from_the_network(connection: duckdb.DuckDBPyConnection) -> None:
    wanted = "'autoinstall_known_extensions', 'autoload_known_extensions'"
    found = connection.execute(f"SELECT value FROM duckdb_settings() WHERE name IN ({wanted})").fetchall()
    assert found == [("false",), ("false",)]
