"""Searches in the tables: told once and for all; what a search may be told; the confirmation; models by content."""

from __future__ import annotations

from typing import Any

import duckdb
import pytest

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
from store.ingest import Applied, apply_batch
from store.queries import get_query
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
