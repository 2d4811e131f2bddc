"""The buffer of epochs on screen: reads on from where it is, and again where the past changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from app.curves import MOST_PIECES, EpochBuffer, read_epochs


class Store:
    """Epochs by run, and a record of what was asked for."""

    def __init__(self, **epochs: list[int]) -> None:
        self.epochs = epochs
        self.asked: list[dict[str, int]] = []

    def read(self, after: Mapping[str, int]) -> pa.Table:
        self.asked.append(dict(after))
        rows = [(run, epoch) for run in sorted(after) for epoch in self.epochs.get(run, []) if epoch > after[run]]
        return pa.table(
            {"run": pa.array([r for r, _ in rows], pa.string()), "epoch": pa.array([e for _, e in rows], pa.int64())}
        )


def row(run: str, state: str = "running", attempt: int | None = 1) -> dict:
    return {"run": run, "state": state, "attempt": attempt}


def epochs(found: dict[str, pa.Table]) -> dict[str, list[int]]:
    return {run: table["epoch"].to_pylist() for run, table in found.items()}


def test_only_new_epochs_are_read() -> None:
    store, buffer = Store(a=[1, 2]), EpochBuffer()
    buffer.update([row("a")], store.read)
    store.epochs["a"] += [3]
    assert epochs(buffer.update([row("a")], store.read)) == {"a": [1, 2, 3]}
    assert store.asked == [{"a": 0}, {"a": 2}]


def test_runs_at_different_epochs_are_read_at_once_each_from_its_own() -> None:
    store, buffer = Store(a=[1, 2, 3], b=[1]), EpochBuffer()
    buffer.update([row("a"), row("b")], store.read)
    store.epochs["a"] += [4]
    store.epochs["b"] += [2]
    assert epochs(buffer.update([row("a"), row("b")], store.read)) == {"a": [1, 2, 3, 4], "b": [1, 2]}
    assert store.asked == [{"a": 0, "b": 0}, {"a": 3, "b": 1}]


def test_rows_that_came_one_by_one_are_put_together() -> None:
    store, buffer = Store(a=[1]), EpochBuffer()
    for epoch in range(2, 2 + 2 * MOST_PIECES):
        buffer.update([row("a")], store.read)
        store.epochs["a"] += [epoch]
    rows = buffer.update([row("a")], store.read)["a"]
    assert rows["epoch"].to_pylist() == list(range(1, 2 + 2 * MOST_PIECES))
    assert rows["epoch"].num_chunks <= MOST_PIECES


def test_the_store_is_asked_for_each_runs_new_epochs_only() -> None:
    asked: list[tuple] = []

    def ask(query: str, **parameters: Any) -> pa.Table:
        asked.append((query, parameters))
        return pa.table({"run": pa.array([], pa.string()), "epoch": pa.array([], pa.int64())})

    read_epochs(ask)({"a": 3, "b": 0})
    assert asked == [("epochs", {"runs": ["a", "b"], "since": ["a:3"]})]


def test_a_run_that_ended_is_read_once_more_and_never_again() -> None:
    store, buffer = Store(a=[1, 3]), EpochBuffer()
    buffer.update([row("a")], store.read)
    store.epochs["a"] = [1, 2, 3]
    ended = [row("a", "finished")]
    assert epochs(buffer.update(ended, store.read)) == {"a": [1, 2, 3]}
    asked = len(store.asked)
    assert epochs(buffer.update(ended, store.read)) == {"a": [1, 2, 3]}
    assert len(store.asked) == asked


def test_a_newer_attempt_replaces_the_older_ones_epochs() -> None:
    store, buffer = Store(a=[1, 2, 3]), EpochBuffer()
    buffer.update([row("a")], store.read)
    store.epochs["a"] = [1]
    assert epochs(buffer.update([row("a", attempt=2)], store.read)) == {"a": [1]}


def test_a_run_without_an_epoch_is_not_drawn_until_it_has_one() -> None:
    store, buffer = Store(), EpochBuffer()
    assert buffer.update([row("a", "queued", None)], store.read) == {}
    store.epochs["a"] = [1]
    assert epochs(buffer.update([row("a")], store.read)) == {"a": [1]}


def test_a_run_that_left_the_screen_is_forgotten() -> None:
    store, buffer = Store(a=[1], b=[1]), EpochBuffer()
    buffer.update([row("a"), row("b")], store.read)
    assert epochs(buffer.update([row("b")], store.read)) == {"b": [1]}
