"""Searches in the tables: told once and for all; what a search may be told; the confirmation; models by content."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest
import structlog

from engine.events import (
    ArtifactSaved,
    AskedTrial,
    Envelope,
    OfSearch,
    SearchCancelRequested,
    SearchEnded,
    SearchQueued,
    TrialsAsked,
)
from engine.settings import Settings
from store.database import open_for_writing
from store.ingest import Applied, apply_batch
from store.queries import get_query
from store.rebuild import rebuild
from store.records import write_due_records
from store.search_records import make_all_due, write_due_searches
from tests.store import lives
from tests.store.tables import rows

QUEUED = SearchQueued(name="mine", dataset="karate", model="gcn", file={"name": "mine"})


def said(body: OfSearch, at: float = lives.BEGAN) -> Envelope:
    return Envelope(run="s1", at=at, body=body)


def trial(number: int, stage: str = "measure", seed: int = 0, **more: Any) -> AskedTrial:
    return AskedTrial(number=number, run=f"s1-{number}", stage=stage, batch=0, scheme="int8", seed=seed, **more)


def ask(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[dict[str, Any]]:
    return get_query(name).run(connection.cursor(), parameters).to_pylist()


def test_what_is_told_again_changes_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    other = SearchQueued(name="other", dataset="cora", model="gat", file={})
    first = [said(QUEUED), said(TrialsAsked(rows=[trial(0, "reference")]))]
    again = [said(other), said(TrialsAsked(rows=[trial(0, "final"), trial(1)]))]
    assert apply_batch(connection, lives.received([*first, *again])) == Applied(applied=4)
    [search] = rows(connection, "searches")
    assert (search["name"], search["dataset"], search["state"], search["file"]) == (
        "mine", "karate", "running", '{"name": "mine"}',
    )  # fmt: skip
    assert [(row["number"], row["stage"]) for row in rows(connection, "trials")] == [(0, "reference"), (1, "measure")]


@pytest.mark.parametrize(
    ("bodies", "state", "reason"),
    [
        ([SearchEnded(result={"scheme": "int8"})], "finished", None),
        ([SearchEnded(reason="nothing will do")], "failed", "nothing will do"),
        ([SearchCancelRequested(), SearchEnded(reason="late")], "cancelled", None),
        ([SearchEnded(result={}), SearchCancelRequested()], "finished", None),
    ],
)
def test_the_first_end_counts(
    connection: duckdb.DuckDBPyConnection, bodies: list[OfSearch], state: str, reason: str | None
) -> None:
    apply_batch(connection, lives.received([said(QUEUED), *(said(body) for body in bodies)]))
    [search] = ask(connection, "searches", search="s1")
    assert (search["state"], search["reason"]) == (state, reason)
    assert search["ended_at"] is not None


def test_a_search_is_told_validation_only_and_its_confirmation_is_read_apart(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    asked = [trial(0, "confirm", 3), trial(1, "confirm", 3, point=[1]), trial(2, "confirm", 4, point=[1]), trial(3)]
    events = [said(QUEUED), said(TrialsAsked(rows=asked)), lives.queued("s1-2", seed=4)]
    events += [*lives.finished("s1-0", seed=3), *lives.finished("s1-1", seed=3)]
    apply_batch(connection, lives.received(events))
    found = ask(connection, "trials", search="s1")
    assert [(row["state"], row["val_best"]) for row in found] == [
        ("finished", 81.0), ("finished", 81.0), ("queued", None), (None, None),
    ]  # fmt: skip
    assert not any("test" in name for name in found[0])
    assert ask(connection, "confirmation", search="s1") == [{"seed": 3, "winner": 80.0, "fp32": 80.0}]
    [search] = ask(connection, "searches")
    assert (search["asked"], search["finished"], search["unfinished"]) == (3, 2, 1)


def test_a_model_is_found_by_its_content(connection: duckdb.DuckDBPyConnection) -> None:
    saved = ArtifactSaved(name="model.safetensors", kind="model", bytes=9, sha256="00", content="ab" * 32)
    life = lives.finished("r1")
    apply_batch(connection, lives.received([*life[:2], lives.event("r1", 1, 2, saved)]))
    assert ask(connection, "models", content="ab" * 32) == [{"run": "r1", "attempt": 1, "name": "model.safetensors"}]
    assert ask(connection, "models", content="cd" * 32) == []


def test_a_searchs_id_is_fit_for_its_runs(connection: duckdb.DuckDBPyConnection) -> None:
    events = [Envelope(run="../s", at=lives.BEGAN, body=QUEUED)]
    assert apply_batch(connection, lives.received(events)) == Applied(dead=1)
    [letter] = rows(connection, "dead_letters")
    assert letter["reason"] == "the search id '../s' is not allowed: 1 to 64 letters, digits, - and _"


def test_a_rebuilt_database_knows_what_a_search_asked_for_and_found(
    settings: Settings, connection: duckdb.DuckDBPyConnection
) -> None:
    asked = TrialsAsked(rows=[trial(0, "reference"), trial(1, point=[0, 2], cost=3.5, predicted=80.25)])
    apply_batch(connection, lives.received([said(QUEUED), said(asked)]))
    assert write_due_records(connection, settings.records) == 0, "a search is no run"
    assert write_due_searches(connection, settings.search_records) == 1
    assert write_due_searches(connection, settings.search_records) == 0, "it is on disk"
    make_all_due(connection, settings.search_records)
    assert rows(connection, "records_due") == []
    apply_batch(connection, lives.received([said(SearchEnded(result={"scheme": "int8"}), lives.BEGAN + 9)], first=50))
    assert write_due_searches(connection, settings.search_records) == 1, "its end is due"
    before = {table: rows(connection, table) for table in ("searches", "trials")}
    (path,) = settings.search_records.iterdir()
    path.rename(path.with_name("moved"))
    make_all_due(connection, settings.search_records)
    assert write_due_searches(connection, settings.search_records) == 1, "its file is missing"
    connection.close()
    (kept,) = settings.search_records.glob("*.json")
    broken, copy, odd = (settings.search_records / f"{name}.json" for name in ("broken", "copy", "odd"))
    broken.write_text('{"record": 2}')
    copy.write_text(kept.read_text())
    odd.write_text(json.dumps({**json.loads(kept.read_text()), "search": "odd", "mood": "good"}))
    with structlog.testing.capture_logs() as logs:
        rebuild(settings)
    anew = open_for_writing(settings.database)
    assert {table: rows(anew, table) for table in before} == before
    assert before["searches"][0]["state"] == "finished"
    anew.close()
    first, second, third = (entry["event"] for entry in logs)
    assert first == f"the record {broken} has a version that this Bitfront does not read: it reads 1"
    assert second == f"the record {copy} is of the search s1: a copy under another name counts not"
    assert third.startswith(f"the record {odd} cannot be taken up: ")
    assert "mood" in third
