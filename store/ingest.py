"""Events into tables: one batch, one transaction, each event exactly once.

An event counts once by (run, attempt, seq); the stream's position commits with the data, so that a killed
store goes on where its tables are. What cannot be applied goes to `dead_letters` with its reason, and the
rest of the batch is applied all the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import duckdb
import pyarrow as pa
from pydantic import ValidationError

from engine.errors import InputError
from engine.events import EPOCH_COLUMNS, OLDEST, VERSION, Envelope, FormatChange, PrecisionChanged, WorkerHeartbeat
from store.database import read_meta, write_meta
from store.lifecycle import Attempt, Changes, Lifecycle, Run, UnfitEventError
from store.searches import apply_searches

BEGINNING = "0-0"
"""The stream position before any entry."""

FAILURES = (
    duckdb.IOException,
    duckdb.FatalException,
    duckdb.OutOfMemoryException,
    duckdb.InternalException,
    duckdb.TransactionException,
)
"""What the database raises where it fails by itself, whatever the event: the last by a commit that found no room."""

_SCHEMAS: dict[str, pa.Schema] = {}
"""Arrow schemas of the tables, read once: schema.sql fixes them."""

_EPOCH = list(EPOCH_COLUMNS)
_RUN = [column.name for column in fields(Run)]
_FORGET_WORKER_AFTER = "7 DAYS"


@dataclass(frozen=True)
class Received:
    """An event as it came: its JSON text, where from, and its place there (the stream's entry id)."""

    text: str
    source: Literal["stream", "http", "outbox"] = "stream"
    position: str | None = None
    age: float | None = None
    """Seconds that it waited in the stream, by Redis' clock alone; None: not known, the sender's clock is believed."""


@dataclass(frozen=True)
class Applied:
    """What became of a batch: events applied, dropped by the rules (twice, late), and dead."""

    applied: int = 0
    dropped: int = 0
    dead: int = 0

    def __add__(self, other: Applied) -> Applied:
        return Applied(self.applied + other.applied, self.dropped + other.dropped, self.dead + other.dead)


@dataclass(frozen=True)
class _Dead:
    entry: Received
    run: str | None
    reason: str


def read_position(connection: duckdb.DuckDBPyConnection) -> str:
    """Id of the last stream entry whose event is in the tables."""
    return read_meta(connection, "stream_position") or BEGINNING


def apply_batch(
    connection: duckdb.DuckDBPyConnection, entries: Sequence[Received], *, now: datetime | None = None
) -> Applied:
    """Apply events in their order and commit, with the position of the last stream entry among them.

    Where the database refuses a batch (a number out of a column's range, say), it is halved until the one
    event at fault is alone and dead, so nothing is lost with it. Raises duckdb.Error only where the database
    itself fails (disk full, file damaged).
    """
    if not entries:
        return Applied()
    now = now or datetime.now(UTC)
    dead: list[_Dead] = []
    envelopes: list[tuple[Received, Envelope]] = []
    for entry in entries:
        try:
            envelopes.append((entry, _parse(entry.text)))
        except (InputError, ValidationError, ValueError, AttributeError) as error:
            dead.append(_Dead(entry, None, _why(error)))
    connection.begin()
    try:
        result = _apply(connection, envelopes, dead, now)
        _commit(connection, entries, dead, now)
        return result
    except FAILURES:
        with suppress(duckdb.Error):  # a commit that failed has left no transaction
            connection.rollback()
        raise
    except (duckdb.Error, pa.ArrowException, OverflowError) as error:
        connection.rollback()
        if len(entries) > 1:
            half = len(entries) // 2
            first = apply_batch(connection, entries[:half], now=now)
            return first + apply_batch(connection, entries[half:], now=now)
        run = envelopes[0][1].run if envelopes else None
        connection.begin()
        _commit(connection, entries, [_Dead(entries[0], run, f"the database refused it: {_first_line(error)}")], now)
        return Applied(dead=1)


def _parse(text: str) -> Envelope:
    """As ``Envelope.from_json``, which reads the text twice to name another version: here only where it must."""
    try:
        envelope = Envelope.model_validate_json(text)
    except ValidationError:
        return Envelope.from_json(text)
    return envelope if OLDEST <= envelope.version <= VERSION else Envelope.from_json(text)


def _apply(
    connection: duckdb.DuckDBPyConnection,
    envelopes: Sequence[tuple[Received, Envelope]],
    dead: list[_Dead],
    now: datetime,
) -> Applied:
    lifecycle = _load(connection, [envelope for _, envelope in envelopes], now)
    known = {(attempt.run, attempt.attempt) for attempt in lifecycle.attempts.values()}
    applied = dropped = 0
    for entry, envelope in envelopes:
        try:
            if lifecycle.apply(envelope, _heard(entry, envelope, now)):
                applied += 1
            else:
                dropped += 1
        except UnfitEventError as error:
            dead.append(_Dead(entry, envelope.run or None, str(error)))
    _write(connection, lifecycle, known)
    return Applied(applied, dropped, len(dead))


def _heard(entry: Received, envelope: Envelope, now: datetime) -> datetime | None:
    """When an event came, by the store's clock; None where only its sender can say."""
    if entry.source == "http" and isinstance(envelope.body, WorkerHeartbeat):
        return now  # it is posted as it is said, and never kept for later
    return None if entry.age is None else now - timedelta(seconds=entry.age)


def _commit(
    connection: duckdb.DuckDBPyConnection, entries: Sequence[Received], dead: Sequence[_Dead], now: datetime
) -> None:
    order = {id(entry): place for place, entry in enumerate(entries)}
    rows = [
        {
            "received_at": now,
            "source": letter.entry.source,
            "position": letter.entry.position,
            "run": letter.run,
            "reason": letter.reason,
            "text": letter.entry.text,
        }
        for letter in sorted(dead, key=lambda letter: order[id(letter.entry)])
    ]
    insert_rows(connection, "dead_letters", rows)
    positions = [entry.position for entry in entries if entry.source == "stream" and entry.position]
    if positions:
        write_meta(connection, "stream_position", positions[-1])
    connection.commit()


def _load(connection: duckdb.DuckDBPyConnection, envelopes: Sequence[Envelope], now: datetime) -> Lifecycle:
    bodies = [envelope.body for envelope in envelopes]
    beats = [body for body in bodies if isinstance(body, WorkerHeartbeat)]
    runs = {envelope.run for envelope in envelopes} | {beat.current_run for beat in beats if beat.current_run}
    chosen = {"runs": sorted(runs - {""})}
    workers = {"workers": sorted({beat.worker for beat in beats})}
    run_rows = connection.sql(
        f"SELECT {', '.join(_RUN)} FROM runs WHERE run IN (SELECT unnest($runs))",
        params=chosen,
    ).to_arrow_table()
    attempt_rows = connection.sql(
        "SELECT a.* FROM attempts a JOIN runs r ON r.run = a.run AND r.attempt = a.attempt "
        "WHERE r.run IN (SELECT unnest($runs))",
        params=chosen,
    ).to_arrow_table()
    heard = connection.sql(
        "SELECT worker, heard_at FROM workers WHERE worker IN (SELECT unnest($workers))", params=workers
    ).to_arrow_table()
    return Lifecycle(
        (Run(**row) for row in run_rows.to_pylist()),
        (Attempt(**row) for row in attempt_rows.to_pylist()),
        {row["worker"]: row["heard_at"] for row in heard.to_pylist()},
        now,
    )


def _write(connection: duckdb.DuckDBPyConnection, lifecycle: Lifecycle, known: set[tuple[str, int]]) -> None:
    changes = lifecycle.changes
    _write_runs(connection, lifecycle)
    attempts = {key: asdict(attempt) for key, attempt in changes.attempts.items()}
    insert_rows(connection, "attempts", [row for key, row in attempts.items() if key not in known])
    changed = [row for key, row in attempts.items() if key in known]
    for row in changed:
        del row["provenance"]  # said once, by the attempt's first event
    _update_rows(connection, "attempts", changed, ("run", "attempt"))
    _write_curves(connection, changes)
    _write_summaries(connection, changes)
    _write_measurements(connection, changes)
    apply_searches(connection, changes.searches)
    _write_sweeps(connection, changes)
    insert_rows(connection, "records_due", [{"run": run} for run in sorted(changes.ended)], "OR IGNORE")
    insert_rows(connection, "workers", list(changes.workers.values()), "OR REPLACE")
    if changes.workers:
        connection.execute(f"DELETE FROM workers WHERE heard_at < now() - INTERVAL {_FORGET_WORKER_AFTER}")


def _write_runs(connection: duckdb.DuckDBPyConnection, lifecycle: Lifecycle) -> None:
    changes = lifecycle.changes

    insert_rows(connection, "runs", [row | asdict(lifecycle.runs[run]) for run, row in changes.new_runs.items()])
    old = sorted(changes.runs - changes.new_runs.keys())
    _update_rows(connection, "runs", [asdict(lifecycle.runs[run]) for run in old], ("run",))


def _write_curves(connection: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    _delete_rows(connection, "epochs", changes.replaced)
    _delete_rows(connection, "precision", changes.restarted)
    _delete_rows(connection, "diagnostics", changes.restarted)
    _delete_rows(connection, "ledger", changes.restarted | changes.ledger.keys())
    _delete_rows(connection, "artifacts", changes.restarted)
    if changes.epochs:
        rows = [(run, row) for run, epochs in changes.epochs.items() for row in epochs]
        columns: dict[str, Any] = {name: [getattr(row, name) for _, row in rows] for name in _EPOCH}
        columns["run"] = [run for run, _ in rows]
        insert_table(connection, "epochs", _arrow(connection, "epochs", columns))
    precision = [row for run, bodies in changes.precision.items() for body in bodies for row in _by_site(run, body)]
    insert_rows(connection, "precision", precision)
    diagnostics = [
        {"run": run, "epoch": body.epoch} | row.model_dump()
        for run, bodies in changes.diagnostics.items()
        for body in bodies
        for row in body.rows
    ]
    insert_rows(connection, "diagnostics", diagnostics)
    ledger = [(run, row) for run, body in changes.ledger.items() for row in body.rows]
    insert_rows(connection, "ledger", [{"run": run} | row.model_dump() for run, row in ledger])
    artifacts = [(run, body) for run, bodies in changes.artifacts.items() for body in bodies]
    rows = [{"run": run} | body.model_dump(exclude={"type"}) for run, body in artifacts]
    insert_rows(connection, "artifacts", rows, "OR REPLACE")


def _by_site(run: str, body: PrecisionChanged) -> list[dict[str, Any]]:
    """A decision's rows: one a site, layer and product that changed, or one without a site where none did."""
    decision = {"run": run} | body.model_dump(exclude={"type", "changes"})
    changes = [change.model_dump() for change in body.changes] or [dict.fromkeys(FormatChange.model_fields)]
    return [decision | change for change in changes]


def _write_summaries(connection: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    summaries, densities, figures = [], [], []
    for run, body in changes.finished.items():
        also = json.dumps(body.summary.also, sort_keys=True) if body.summary.also else None
        summaries.append({"run": run} | body.summary.model_dump(exclude={"densities", "figures"}) | {"also": also})
        for rank, density in enumerate(body.summary.densities, start=1):
            densities.append({"run": run, "rank": rank} | density.model_dump())
        figures += [{"run": run, "name": name, "value": value} for name, value in body.summary.figures.items()]
    insert_rows(connection, "summary", summaries)
    insert_rows(connection, "densities", densities)
    insert_rows(connection, "figures", figures)


def _write_measurements(connection: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    """Each pass whole in the place of an older one; one that comes after a newer one is left out."""
    for run, (at, body) in changes.measured.items():
        newer = "SELECT 1 FROM measurements WHERE run = $1 AND measured_at > $2 LIMIT 1"
        if connection.execute(newer, [run, at]).fetchall():
            continue
        about = body.model_dump(exclude={"type", "rows"}) | {"software": json.dumps(body.software, sort_keys=True)}
        _delete_rows(connection, "measurements", [run])
        rows = [{"run": run, "measured_at": at} | about | row.model_dump() for row in body.rows]
        insert_rows(connection, "measurements", rows, "OR REPLACE")


def _write_sweeps(connection: duckdb.DuckDBPyConnection, changes: Changes) -> None:
    """Each launch whole in the place of an older one; one that comes after a newer one is left out."""
    for sweep, (at, body) in changes.sweeps.items():
        newer = "SELECT 1 FROM sweeps WHERE sweep = $1 AND launched_at > $2"
        if connection.execute(newer, [sweep, at]).fetchall():
            continue
        row = {"sweep": sweep, "name": body.name, "plan": json.dumps(body.table, sort_keys=False), "launched_at": at}
        budget = {"most_runs": body.most_runs, "most_hours": body.most_hours, "recorded": False}
        insert_rows(connection, "sweeps", [row | budget], "OR REPLACE")
        connection.execute("DELETE FROM sweep_cells WHERE sweep = $1", [sweep])
        cells = [cell.model_dump(exclude={"group"}) | {"group_id": cell.group} for cell in body.cells]
        rows = [{"sweep": sweep, "place": place} | cell for place, cell in enumerate(cells)]
        insert_rows(connection, "sweep_cells", rows)


def insert_rows(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[dict[str, Any]], conflict: str = ""
) -> None:
    """Insert rows (all with the same columns) by one statement; numbers that are not finite become NULL."""
    if rows:
        columns = {name: [_finite(row[name]) for row in rows] for name in rows[0]}
        insert_table(connection, table, _arrow(connection, table, columns), conflict)


def insert_table(connection: duckdb.DuckDBPyConnection, table: str, rows: pa.Table, conflict: str = "") -> None:
    """Insert an Arrow table, column by name, by one statement."""
    connection.register("batch", rows)
    try:
        connection.execute(f"INSERT {conflict} INTO {table} BY NAME SELECT * FROM batch")
    finally:
        connection.unregister("batch")


def _update_rows(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[dict[str, Any]], key: tuple[str, ...]
) -> None:
    if not rows:
        return
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    connection.register("batch", _arrow(connection, table, columns))
    try:
        changes = ", ".join(f"{name} = batch.{name}" for name in columns if name not in key)
        match = " AND ".join(f"{table}.{name} = batch.{name}" for name in key)
        connection.execute(f"UPDATE {table} SET {changes} FROM batch WHERE {match}")
    finally:
        connection.unregister("batch")


def _delete_rows(connection: duckdb.DuckDBPyConnection, table: str, runs: Iterable[str]) -> None:
    chosen = sorted(runs)
    if chosen:
        connection.execute(f"DELETE FROM {table} WHERE run IN (SELECT unnest($1))", [chosen])


def _arrow(connection: duckdb.DuckDBPyConnection, table: str, columns: dict[str, list[Any]]) -> pa.Table:
    schema = _SCHEMAS.get(table)
    if schema is None:
        schema = _SCHEMAS[table] = connection.sql(f"SELECT * FROM {table} LIMIT 0").to_arrow_table().schema
    return pa.table(columns, schema=pa.schema([schema.field(name) for name in columns]))


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        fault = error.errors()[0]
        where = ".".join(map(str, fault["loc"]))
        return f"not an event: {where}: {fault['msg']}" if where else f"not an event: {fault['msg']}"
    return str(error) if isinstance(error, InputError) else f"not an event: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
