"""Whatever way a run's events come (in batches, twice, late, with some missing), the tables end the same."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import Envelope, EpochFinished
from engine.settings import Settings
from store.database import open_for_writing
from store.ingest import Received, apply_batch, read_position
from store.rebuild import rebuild
from store.records import write_due_records
from tests.store import lives
from tests.store.tables import rows, snapshot

Tables = dict[str, list[dict[str, Any]]]


@contextmanager
def new_store(empty: Path) -> Iterator[tuple[Settings, duckdb.DuckDBPyConnection]]:
    """A database of the example's own."""
    with tempfile.TemporaryDirectory() as home:
        here = Settings(home=Path(home))
        shutil.copyfile(empty, here.database)
        connection = open_for_writing(here.database)
        try:
            yield here, connection
        finally:
            connection.close()


def tables_of(empty: Path, batches: Sequence[Sequence[Received]]) -> Tables:
    with new_store(empty) as (_, connection):
        for batch in batches:
            apply_batch(connection, batch)
        assert rows(connection, "dead_letters") == []
        return without_count(snapshot(connection))


def without_count(tables: Tables) -> Tables:
    """The tables but for the number of events dropped, which tells the ways apart."""
    return {name: [{k: v for k, v in row.items() if k != "dropped"} for row in found] for name, found in tables.items()}


@st.composite
def histories(draw: st.DrawFn) -> list[list[Envelope]]:
    """Whole lives of a few runs: some finish at once, some at a later attempt, some fail, some go on."""
    found: list[list[Envelope]] = []
    for number in range(draw(st.integers(1, 4))):
        run, kind = f"run{number}", draw(st.sampled_from(["finished", "failed", "retried", "running", "queued"]))
        life = {
            "finished": lives.finished(run),
            "failed": lives.failed(run),
            "retried": [lives.queued(run), *lives.attempt_of(run, 1)[:-1], *lives.attempt_of(run, 3, epochs=2)],
            "running": [lives.queued(run), *lives.attempt_of(run)[:4]],
            "queued": [lives.queued(run)],
        }
        found.append(life[kind])
    return found


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Envelope], list[list[Received]]]:
    """Lives in plain order, and the same lives interleaved, cut into batches, with parts of them repeated."""
    whole = draw(histories())
    queues = [list(life) for life in whole]
    order: list[Envelope] = []
    while any(queues):
        chosen = draw(st.sampled_from([queue for queue in queues if queue]))
        order.append(chosen.pop(0))
        if draw(st.booleans()):
            start = draw(st.integers(0, len(order) - 1))
            order += order[start:][: draw(st.integers(1, 5))]
    sent = lives.received(order)
    batches: list[list[Received]] = []
    while sent:
        size = draw(st.integers(1, max(1, len(sent))))
        batches.append(sent[:size])
        sent = sent[size:]
    return [item for life in whole for item in life], batches


@given(deliveries())
@settings(max_examples=20)
def test_batches_and_repetitions_change_nothing(
    empty_database: Path, delivery: tuple[list[Envelope], list[list[Received]]]
) -> None:
    plain, batches = delivery
    assert tables_of(empty_database, batches) == tables_of(empty_database, [lives.received(plain)])


@given(st.data())
@settings(max_examples=20)
def test_a_finished_run_has_every_epoch_whatever_was_lost_or_late(empty_database: Path, data: st.DataObject) -> None:
    queue, start, *middle, end = lives.finished("run0")
    epochs = [item for item in middle if isinstance(item.body, EpochFinished)]
    others = [item for item in middle if item not in epochs]
    kept = [item for item in epochs if data.draw(st.booleans())]
    ascending = sorted([*others, *kept], key=lambda item: item.seq)
    late = data.draw(st.permutations([*kept, *others]))[: data.draw(st.integers(0, 2))]
    sent = lives.received([queue, start, *ascending, *late, end])
    cut = data.draw(st.integers(0, len(sent)))
    got = tables_of(empty_database, [sent[:cut], sent[cut:]])
    want = tables_of(empty_database, [lives.received([queue, start, *middle, end])])
    for row in got["attempts"]:
        row["healed"] = False
    assert got == want


@given(deliveries())
@settings(max_examples=8)
def test_a_store_killed_between_batches_goes_on_where_it_was(
    empty_database: Path, delivery: tuple[list[Envelope], list[list[Received]]]
) -> None:
    plain, batches = delivery
    stream = [entry for batch in batches for entry in batch]
    with new_store(empty_database) as (here, connection):
        apply_batch(connection, stream[: len(stream) // 2])
        connection.begin()  # a batch that never committed
        connection.execute("DELETE FROM runs")
        copy = Path(here.home) / "killed.duckdb"
        shutil.copyfile(here.database, copy)
        log = here.database.with_name(here.database.name + ".wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name(copy.name + ".wal"))
        connection.rollback()
        again = open_for_writing(copy)
        position = read_position(again)
        apply_batch(again, [entry for entry in stream if as_number(entry.position) > as_number(position)])
        got = without_count(snapshot(again))
        again.close()
    assert got == tables_of(empty_database, [lives.received(plain)])


def as_number(position: str | None) -> int:
    return int((position or "0").partition("-")[0])


@given(histories())
@settings(max_examples=20)
def test_a_rebuilt_database_has_the_tables_of_the_runs_that_are_over(
    empty_database: Path, whole: list[list[Envelope]]
) -> None:
    with new_store(empty_database) as (here, connection):
        apply_batch(connection, lives.received([item for life in whole for item in life]))
        write_due_records(connection, here.records)
        over = {row["run"] for row in rows(connection, "runs") if row["ended_at"] is not None}
        want = {name: [row for row in found if row["run"] in over] for name, found in snapshot(connection).items()}
        connection.close()
        assert rebuild(here) == len(over)
        rebuilt = open_for_writing(here.database)
        got = snapshot(rebuilt)
        rebuilt.close()
    assert got == want
