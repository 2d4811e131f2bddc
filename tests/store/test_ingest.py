"""Events into tables: the rules of a run's life, exactly once, and dead letters."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from engine.errors import InputError
from engine.events import (
    OLDEST,
    VERSION,
    CancelRequested,
    Envelope,
    History,
    ResumeRequested,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunQueued,
)
from engine.spec import RunSpec
from store.ingest import Applied, Received, apply_batch, read_position
from tests.store import lives
from tests.store.tables import ask, rows, snapshot

RUN = "0abc00000aaaaa"


def apply(connection: duckdb.DuckDBPyConnection, *events: Envelope) -> Applied:
    return apply_batch(connection, lives.received(events))


def reasons(connection: duckdb.DuckDBPyConnection) -> list[str]:
    return [letter["reason"] for letter in reversed(ask(connection, "dead_letters"))]


def one(connection: duckdb.DuckDBPyConnection, run: str = RUN) -> dict:
    (found,) = ask(connection, "run", run=run)
    return found


def test_a_launched_run_is_queued_with_its_spec(connection: duckdb.DuckDBPyConnection) -> None:
    assert apply(connection, lives.queued(RUN, seed=3, sweep="s")) == Applied(applied=1)
    run = one(connection)
    spec = RunSpec.from_json(run["spec"])
    assert (run["state"], run["queue_position"], run["seed"], run["sweep"]) == ("queued", 1, 3, "s")
    assert (run["group_id"], run["dataset"], run["scheme"]) == (spec.group, "karate", "int8")
    assert run["submitted_at"] == datetime.fromtimestamp(lives.BEGAN, UTC)


def test_a_second_launch_of_the_same_run_changes_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN))
    assert apply(connection, lives.queued(RUN, seed=9)) == Applied(dropped=1)
    assert one(connection)["seed"] == 0


def test_a_whole_life_fills_every_table(connection: duckdb.DuckDBPyConnection) -> None:
    events = lives.finished(RUN)
    assert apply(connection, *events) == Applied(applied=len(events))
    run = one(connection)
    assert (run["state"], run["epoch"], run["total_epochs"], run["gap"]) == ("finished", 3, 3, False)
    assert (run["test_at_best_val"], run["test_last"], run["test_max"], run["best_val"]) == (80.0, 79.0, 82.0, 81.0)
    assert (run["memory_density"], run["density_scope"], run["unit"]) == (4.0, "training", "%")
    assert run["epochs_per_second"] == 2.0
    assert [row["test_metric"] for row in ask(connection, "epochs", runs=RUN)] == [31.0, 61.0, 91.0]
    assert [row["rank"] for row in ask(connection, "densities", run=RUN)] == [1, 2, 3]
    assert [row["metadata_bits"] for row in ask(connection, "ledger", run=RUN)] == [64]
    assert [(row["site"], row["format"], row["signal"]) for row in ask(connection, "precision", runs=RUN)] == [
        ("aggregate", "int8", "start"),
        ("weight", "int8", "start"),
    ]
    assert [row["sqnr"] for row in ask(connection, "diagnostics", runs=RUN)] == [21.0, 30.0, 10.0, 41.0]


def test_progress_shows_before_the_run_ends(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), *lives.attempt_of(RUN)[:-1][:7])
    run = one(connection)
    assert (run["state"], run["epoch"], run["best_epoch"], run["best_val"]) == ("running", 2, 2, 41.0)
    assert (run["test_at_best_val"], run["test_last"], run["seconds_left"]) == (61.0, 61.0, 0.5)


def test_numbers_that_are_not_finite_become_null(connection: duckdb.DuckDBPyConnection) -> None:
    bad = lives.row(1).model_copy(update={"train_loss": math.nan, "val_loss": math.inf})
    text = lives.event(RUN, 1, 2, lives.row(1)).to_json().replace('"train_loss":1.0', '"train_loss":NaN')
    apply(connection, lives.queued(RUN), lives.started(RUN))
    assert apply_batch(connection, [Received(text, position="9-0")]) == Applied(applied=1)
    assert apply(connection, lives.event(RUN, 1, 3, bad.model_copy(update={"epoch": 2}))) == Applied(applied=1)
    first, second = ask(connection, "epochs", runs=RUN)
    assert (first["train_loss"], second["train_loss"], second["val_loss"]) == (None, None, None)
    assert first["val_loss"] == 2.0


def test_an_event_that_comes_twice_counts_once(connection: duckdb.DuckDBPyConnection) -> None:
    events = lives.finished(RUN)[:-1]
    apply(connection, *events)
    before = {table: found for table, found in snapshot(connection).items() if table != "runs"}
    assert apply(connection, *events) == Applied(dropped=len(events))
    assert {table: found for table, found in snapshot(connection).items() if table != "runs"} == before
    assert rows(connection, "runs")[0]["dropped"] == len(events)


def test_a_gap_is_marked_and_the_events_after_it_are_applied(connection: duckdb.DuckDBPyConnection) -> None:
    start, *_, last_epoch, _ = lives.attempt_of(RUN)
    apply(connection, lives.queued(RUN), start, last_epoch)
    assert one(connection)["gap"] is True
    assert [row["epoch"] for row in ask(connection, "epochs", runs=RUN)] == [3]


def test_the_terminal_events_history_heals_a_gap(connection: duckdb.DuckDBPyConnection) -> None:
    start, *_, last_epoch, end = lives.attempt_of(RUN)
    apply(connection, lives.queued(RUN), start, last_epoch)
    apply(connection, end)
    (attempt,) = ask(connection, "attempts", run=RUN)
    assert (attempt["gap"], attempt["healed"], attempt["epochs"], attempt["seconds"]) == (False, True, 3, 1.5)
    assert [row["epoch"] for row in ask(connection, "epochs", runs=RUN)] == [1, 2, 3]


def test_a_gap_without_a_history_stays_marked(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), lives.started(RUN), lives.event(RUN, 1, 5, lives.row(3)))
    apply(connection, lives.event(RUN, 0, 0, RunFailed(reason="its worker died in each of 3 attempts")))
    run = one(connection)
    assert (run["state"], run["gap"], run["reason"]) == ("failed", True, "its worker died in each of 3 attempts")
    assert [row["epoch"] for row in ask(connection, "epochs", runs=RUN)] == [3]


def test_a_lost_start_is_a_gap_too(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), *lives.attempt_of(RUN)[1:])
    run = one(connection)
    assert (run["state"], run["gap"], run["epoch"], run["worker"]) == ("finished", False, 3, None)


def test_a_newer_attempt_replaces_the_epochs_of_the_older(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), *lives.attempt_of(RUN)[:-1])
    apply(connection, lives.started(RUN, attempt=2), lives.event(RUN, 2, 2, lives.row(1, attempt=2)))
    run = one(connection)
    assert (run["state"], run["attempt"], run["attempts"], run["epoch"]) == ("running", 2, 2, 1)
    assert [row["val_metric"] for row in ask(connection, "epochs", runs=RUN)] == [22.0]
    assert ask(connection, "precision", runs=RUN) == ask(connection, "ledger", run=RUN) == []
    assert ask(connection, "diagnostics", runs=RUN) == []
    assert [row["state"] for row in ask(connection, "attempts", run=RUN)] == ["lost", "running"]


def test_a_newer_attempt_replaces_the_older_within_one_batch(connection: duckdb.DuckDBPyConnection) -> None:
    first, second = lives.attempt_of(RUN, 1)[:-1], lives.attempt_of(RUN, 2, epochs=2)
    apply(connection, lives.queued(RUN), *first, *second)
    assert [row["val_metric"] for row in ask(connection, "epochs", runs=RUN)] == [22.0, 42.0]
    assert len(ask(connection, "ledger", run=RUN)) == 1
    assert {row["saturated"] for row in ask(connection, "diagnostics", runs=RUN)} == {0.02}


def test_an_epoch_that_only_prepares_is_progress_and_is_never_selected(connection: duckdb.DuckDBPyConnection) -> None:
    """An fp32 phase before calibration: its epochs are better than what follows, and are not the scheme's."""
    preparing = [lives.row(epoch).model_copy(update={"counts": False, "val_metric": 99.0}) for epoch in (1, 2)]
    events = [lives.event(RUN, 1, seq, body) for seq, body in enumerate(preparing, start=2)]
    apply(connection, lives.queued(RUN), lives.started(RUN), *events)
    run = one(connection)
    assert (run["epoch"], run["val_metric"], run["test_metric"]) == (2, 99.0, 61.0)
    selected = ("best_epoch", "best_val", "test_at_best_val", "test_last", "test_max")
    assert [run[name] for name in selected] == [None] * 5
    apply(connection, lives.event(RUN, 1, 4, lives.row(3)))
    assert [one(connection)[name] for name in selected] == [3, 61.0, 91.0, 91.0, 91.0]
    assert [row["counts"] for row in ask(connection, "epochs", runs=RUN)] == [False, False, True]


def test_a_history_says_which_epochs_count(connection: duckdb.DuckDBPyConnection) -> None:
    preparing = lives.row(1).model_copy(update={"counts": False, "val_metric": 99.0})
    end = RunFailed(reason="why", history=History.of([preparing, lives.row(2)]))
    apply(connection, lives.queued(RUN), lives.started(RUN), lives.event(RUN, 1, 4, end))
    assert [row["counts"] for row in ask(connection, "epochs", runs=RUN)] == [False, True]
    assert (one(connection)["best_epoch"], one(connection)["test_max"]) == (2, 61.0)


def test_diagnostics_of_several_epochs_are_kept(connection: duckdb.DuckDBPyConnection) -> None:
    first, second = (lives.event(RUN, 1, 1 + epoch, lives.diagnostics(epoch)) for epoch in (1, 2))
    apply(connection, lives.queued(RUN), lives.started(RUN), first)
    apply(connection, first, second)
    found = ask(connection, "diagnostics", runs=RUN, epochs="all")
    assert [row["epoch"] for row in found] == [1, 1, 1, 1, 2, 2, 2, 2]


def test_events_of_an_older_attempt_are_dropped_and_counted(connection: duckdb.DuckDBPyConnection) -> None:
    old = lives.attempt_of(RUN, 1)
    apply(connection, lives.queued(RUN), old[0], lives.started(RUN, attempt=2))
    assert apply(connection, *old[1:]) == Applied(dropped=len(old) - 1)
    assert (one(connection)["state"], rows(connection, "epochs")) == ("running", [])
    assert rows(connection, "runs")[0]["dropped"] == len(old) - 1


def test_after_the_end_nothing_changes_a_run(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, *lives.finished(RUN))
    later = [*lives.attempt_of(RUN, 2), lives.event(RUN, 0, 0, CancelRequested())]
    assert apply(connection, *later) == Applied(dropped=len(later))
    assert (one(connection)["state"], one(connection)["attempt"]) == ("finished", 1)


def test_cancelling_a_queued_run_ends_it_at_once(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), lives.event(RUN, 0, 0, CancelRequested(), lives.BEGAN + 9))
    run = one(connection)
    assert (run["state"], run["ended_at"]) == ("cancelled", datetime.fromtimestamp(lives.BEGAN + 9, UTC))


def test_cancelling_a_running_run_waits_for_its_worker(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), lives.started(RUN), lives.event(RUN, 0, 0, CancelRequested()))
    assert one(connection)["state"] == "cancelling"
    apply(connection, lives.event(RUN, 1, 2, RunCancelled(history=History.of([]))))
    assert one(connection)["state"] == "cancelled"


def test_a_cancelling_run_stays_so_when_another_attempt_starts(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), lives.started(RUN), lives.event(RUN, 0, 0, CancelRequested()))
    apply(connection, lives.started(RUN, attempt=2))
    assert one(connection)["state"] == "cancelling"


def test_cancelling_a_local_run_ends_it_at_once(connection: duckdb.DuckDBPyConnection) -> None:
    local = lives.event(RUN, 0, 0, RunQueued(spec=lives.spec(), origin="local"))
    apply(connection, local, lives.started(RUN), lives.event(RUN, 0, 0, CancelRequested()))
    assert one(connection)["state"] == "cancelled"


def test_a_claimed_run_that_was_cancelled_keeps_its_earlier_epochs(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), *lives.attempt_of(RUN)[:-1])
    apply(connection, lives.event(RUN, 2, 1, RunCancelled()))
    run = one(connection)
    assert (run["state"], run["attempt"], run["epoch"]) == ("cancelled", 1, 3)
    assert len(ask(connection, "epochs", runs=RUN)) == 3


def test_an_event_of_an_unknown_run_is_a_dead_letter(connection: duckdb.DuckDBPyConnection) -> None:
    assert apply(connection, lives.started(RUN)) == Applied(dead=1)
    (letter,) = ask(connection, "dead_letters")
    assert letter["reason"] == f"unknown run '{RUN}': its RunQueued never came, or it was deleted"
    assert (letter["source"], letter["position"], letter["run"]) == ("stream", "1-0", RUN)
    assert Envelope.from_json(letter["text"]) == lives.started(RUN)


def test_one_bad_event_does_not_hold_back_the_others(connection: duckdb.DuckDBPyConnection) -> None:
    good = lives.received(lives.finished(RUN))
    texts = ["{nope", "[1]", '{"version": 9}', '{"run": "x", "at": 1, "body": {"type": "zz"}}', ""]
    mixed = [item for pair in zip(good, map(Received, texts), strict=False) for item in pair] + good[len(texts) :]
    assert apply_batch(connection, mixed) == Applied(applied=len(good), dead=len(texts))
    assert one(connection)["state"] == "finished"
    assert reasons(connection)[2] == f"event version 9 is newer than {VERSION}: update the store"
    assert reasons(connection)[0].startswith("not an event: ")
    assert reasons(connection)[3].startswith("not an event: body: Input tag 'zz' found using 'type' does not match")


def test_an_event_that_the_database_refuses_is_dead_alone(connection: duckdb.DuckDBPyConnection) -> None:
    events = lives.finished(RUN)
    too_late = lives.event("other", 1, 2, lives.row(2**40))
    batch = [*events[:4], lives.queued("other"), lives.started("other"), too_late, *events[4:]]
    assert apply(connection, *batch) == Applied(applied=len(batch) - 1, dead=1)
    assert one(connection)["state"] == "finished"
    assert reasons(connection) == ["the database refused it: Value 1099511627776 too large to fit in C integer type"]
    assert read_position(connection) == f"{len(batch)}-0"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"dataset": "karate"},
            "the spec is not a whole RunSpec: TypeError string indices must be integers, not 'str'",
        ),
        ({"training": {}}, "the spec is not a whole RunSpec: KeyError 'epochs'"),
    ],
)
def test_a_spec_in_shorthand_is_a_dead_letter(
    connection: duckdb.DuckDBPyConnection, changes: dict, reason: str
) -> None:
    apply(connection, lives.event(RUN, 0, 0, RunQueued(spec=lives.spec() | changes)))
    assert reasons(connection) == [reason]


@pytest.mark.parametrize("run", ["../x", "..", "a/b", "/etc", "a.b", "a\x00b", "a\nb", "", "x" * 65, "uploads"])
def test_a_run_id_that_names_other_files_is_a_dead_letter(connection: duckdb.DuckDBPyConnection, run: str) -> None:
    apply(connection, lives.event(run, 0, 0, RunQueued(spec=lives.spec())))
    assert reasons(connection) == [f"the run id {run!r} is not allowed: 1 to 64 letters, digits, - and _"]


def test_an_epoch_that_goes_back_is_a_dead_letter(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), lives.started(RUN), lives.event(RUN, 1, 2, lives.row(2)))
    apply(connection, lives.event(RUN, 1, 3, lives.row(2)))
    assert reasons(connection) == ["epoch 2 of attempt 1 came after epoch 2"]


def test_a_history_that_does_not_fit_leaves_the_run_as_it_was(connection: duckdb.DuckDBPyConnection) -> None:
    history = History(columns={"epoch": [2, 1], "seconds": [1.0, 1.0]})
    end = RunFinished(summary=lives.summary(), history=history)
    apply(connection, lives.queued(RUN), lives.started(RUN), lives.event(RUN, 1, 3, end))
    assert reasons(connection) == ["the epochs in the history of run_finished do not ascend"]
    assert one(connection)["state"] == "running"


def test_a_worker_is_known_by_its_newest_heartbeat(connection: duckdb.DuckDBPyConnection) -> None:
    now = datetime.now(UTC).timestamp()
    new, old = lives.heartbeat("w1", now), lives.heartbeat("w1", now - 60, RUN, 1)
    assert apply(connection, new, old) == Applied(applied=1, dropped=1)
    (worker,) = ask(connection, "workers")
    assert (worker["worker"], worker["current_run"], worker["alive"]) == ("w1", None, True)


def test_a_worker_that_was_not_heard_of_is_not_alive(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.heartbeat("w1", datetime.now(UTC).timestamp() - 60))
    assert [worker["alive"] for worker in ask(connection, "workers")] == [False]


def test_a_heartbeat_keeps_its_run_heard_of(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), lives.started(RUN), lives.heartbeat("w1", lives.BEGAN + 500, RUN, 1))
    assert one(connection)["heard_at"] == datetime.fromtimestamp(lives.BEGAN + 500, UTC)


def test_a_time_in_the_future_counts_as_now(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.heartbeat("w1", lives.BEGAN * 2))
    (worker,) = ask(connection, "workers")
    assert abs(worker["heard_at"] - datetime.now(UTC)) < timedelta(minutes=1)


def test_provenance_says_what_the_data_turned_out_to_be(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), lives.started(RUN, caveat="few nodes", synthetic=True, unit="%"))
    run = one(connection)
    assert (run["caveat"], run["synthetic"], run["unit"], run["metric"]) == ("few nodes", True, "%", "accuracy")


def test_where_lower_is_better_the_best_epoch_is_the_lowest(connection: duckdb.DuckDBPyConnection) -> None:
    events = [lives.event(RUN, 1, seq, lives.row(seq - 1)) for seq in (2, 3)]
    apply(connection, lives.queued(RUN), lives.started(RUN, higher_is_better=False), *events)
    assert (one(connection)["best_epoch"], one(connection)["test_max"]) == (1, 31.0)


def test_the_position_commits_with_the_data(connection: duckdb.DuckDBPyConnection) -> None:
    assert read_position(connection) == "0-0"
    apply_batch(connection, lives.received([lives.queued(RUN)], first=41))
    assert read_position(connection) == "41-0"


def test_posted_events_leave_the_stream_position_alone(connection: duckdb.DuckDBPyConnection) -> None:
    apply_batch(connection, [Received(lives.queued(RUN).to_json(), "http")])
    assert read_position(connection) == "0-0"


def test_the_group_is_the_specs_own(connection: duckdb.DuckDBPyConnection) -> None:
    specs = [{"dataset": "sbm(nodes=500)", "training": {"epochs": 7, "lr": 1.0}}, {"device": "cpu", "scheme": "fp32"}]
    for number, changes in enumerate(specs):
        apply(connection, lives.queued(f"r{number}", **changes))
        assert one(connection, f"r{number}")["group_id"] == RunSpec.parse(lives.spec(**changes)).group


def test_an_unknown_query_parameter_is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(InputError, match="unknown parameter 'state': did you mean states"):
        ask(connection, "runs", state="queued")


def test_figures_and_artifacts_of_the_newest_attempt(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, lives.queued(RUN), *lives.attempt_of(RUN)[:-1])
    apply(connection, *lives.attempt_of(RUN, 2))
    assert ask(connection, "figures", runs=RUN) == [
        {"run": RUN, "name": "bit_operations.inference", "value": 4e6},
        {"run": RUN, "name": "energy.inference", "value": None},
    ]
    (file,) = ask(connection, "artifacts", run=RUN)
    assert (file["name"], file["kind"], file["bytes"]) == ("model.safetensors", "model", 1002)


def test_a_measurement_replaces_an_older_one_and_changes_no_state(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, *lives.finished(RUN), lives.measured(RUN), lives.measured(RUN, lives.BEGAN + 6000, 20e6))
    apply(connection, lives.measured(RUN, lives.BEGAN + 5500, 1e6))
    found = ask(connection, "measurements", runs=RUN)
    assert [(row["variant"], row["value"], row["allocator"]) for row in found] == [
        ("run", 20e6, "glibc"),
        ("fp32", 40e6, "glibc"),
    ]
    assert one(connection)["state"] == "finished"
    assert ask(connection, "group_measurements")[0] | {"group_id": ""} == {
        "group_id": "",
        "quantity": "peak_torch",
        "variant": "run",
        "value": 20e6,
        "n": 1,
    }


def test_a_resumed_run_is_queued_again_and_its_ended_attempt_says_nothing_more(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    resume = Envelope(run=RUN, at=lives.BEGAN + 500, body=ResumeRequested())
    apply(connection, lives.queued(RUN), lives.started(RUN), lives.event(RUN, 1, 2, lives.row(1)))
    apply(connection, Envelope(run=RUN, at=lives.BEGAN + 400, body=RunCancelled()))  # its worker was gone
    assert apply(connection, resume) == Applied(applied=1)
    run = one(connection)
    assert (run["state"], run["ended_at"], run["attempt"], run["epoch"]) == ("queued", None, 1, 1)
    # The worker was only suspended, and wakes.
    assert apply(connection, lives.event(RUN, 1, 3, lives.row(2)), lives.event(RUN, 1, 4, RunCancelled())) == Applied(
        dropped=2
    )
    apply(connection, lives.started(RUN, attempt=2), lives.event(RUN, 2, 2, lives.row(1, attempt=2)))
    run = one(connection)
    assert (run["state"], run["attempt"], run["epoch"]) == ("running", 2, 1)


def test_a_finished_run_is_never_resumed(connection: duckdb.DuckDBPyConnection) -> None:
    apply(connection, *lives.finished(RUN))
    assert apply(connection, Envelope(run=RUN, at=lives.BEGAN, body=ResumeRequested())) == Applied(dropped=1)
    assert one(connection)["state"] == "finished"


def _as_said_by(version: int, events: Sequence[Envelope]) -> list[str]:
    """The events as a worker of an older version says them: without what later ones brought."""
    texts = []
    for number, event in enumerate(event for event in events if version > 2 or event.body.type != "artifact_saved"):
        said = json.loads(event.to_json()) | {"version": version, "seq": number}  # the launch is 0
        if version == 2:
            for row in said["body"].get("rows", []) if event.body.type == "ledger_recorded" else []:
                del row["partner"], row["written"], row["protected"], row["held_bytes"]
            said["body"].get("summary", {}).pop("figures", None)
        texts.append(json.dumps(said))
    return texts


@pytest.mark.parametrize("version", range(OLDEST, VERSION + 1))
def test_a_worker_of_an_older_version_is_understood(connection: duckdb.DuckDBPyConnection, version: int) -> None:
    texts = _as_said_by(version, lives.finished(RUN))
    assert apply_batch(connection, [Received(text) for text in texts]) == Applied(applied=len(texts))
    assert (one(connection)["state"], one(connection)["gap"]) == ("finished", False)
    assert [row["epoch"] for row in rows(connection, "epochs")] == [1, 2, 3]
    assert len(rows(connection, "ledger")) == 1


@pytest.mark.parametrize("version", [OLDEST - 1, 0, -1])
def test_a_worker_of_a_version_before_those_is_refused_by_it(
    connection: duckdb.DuckDBPyConnection, version: int
) -> None:
    apply(connection, lives.queued(RUN))
    texts = _as_said_by(version, lives.attempt_of(RUN))
    assert apply_batch(connection, [Received(text) for text in texts]) == Applied(dead=len(texts))
    assert set(reasons(connection)) == {f"event version {version} is older than 2: update the worker that said it"}
    assert one(connection)["state"] == "queued"


def _heard(connection: duckdb.DuckDBPyConnection, event: Envelope, now: datetime, age: float) -> dict:
    apply_batch(connection, [Received(event.to_json(), "stream", "1-0", age)], now=now)
    (worker,) = rows(connection, "workers")
    return worker


@pytest.mark.parametrize("jump", [-86400.0, 0.0, 86400.0], ids=["behind", "right", "ahead"])
def test_when_a_worker_was_heard_does_not_depend_on_its_clock(
    connection: duckdb.DuckDBPyConnection, jump: float
) -> None:
    now = datetime.now(UTC)
    beat = lives.heartbeat("w1", now.timestamp() + jump)
    assert _heard(connection, beat, now, age=2.0)["heard_at"] == now - timedelta(seconds=2)


def test_a_worker_is_heard_after_its_clock_and_the_stores_were_set_back(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    now = datetime.now(UTC)
    later = now + timedelta(days=1)
    _heard(connection, lives.heartbeat("w1", later.timestamp()), later, age=0.0)
    beat = lives.heartbeat("w1", now.timestamp())
    assert _heard(connection, beat, now, age=0.0)["heard_at"] == now


@pytest.mark.parametrize("jump", [-86400.0, 0.0, 86400.0], ids=["behind", "right", "ahead"])
def test_a_beat_of_a_runs_own_process_is_heard_as_it_is_posted_and_lists_no_worker(
    connection: duckdb.DuckDBPyConnection, jump: float
) -> None:
    now = datetime.now(UTC)
    apply_batch(connection, [Received(event.to_json(), "http") for event in (lives.queued("a"), lives.started("a"))])
    beat = lives.heartbeat("", now.timestamp() + jump, "a", 1)
    assert apply_batch(connection, [Received(beat.to_json(), "http")], now=now) == Applied(applied=1)
    assert [row["heard_at"] for row in rows(connection, "attempts")] == [now]
    assert rows(connection, "workers") == []


def test_a_running_run_that_is_not_heard_from_for_15_seconds_is_silent(connection: duckdb.DuckDBPyConnection) -> None:
    now = datetime.now(UTC)
    silent = {}
    for run, age in (("a", 16.0), ("b", 1.0)):
        events = [lives.queued(run), lives.started(run)]
        apply_batch(connection, [Received(event.to_json(), "stream", "1-0", age) for event in events], now=now)
        silent[run] = one(connection, run)["is_silent"]
    assert silent == {"a": True, "b": False}
