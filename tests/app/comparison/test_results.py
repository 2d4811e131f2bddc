"""The store's results in short words."""

from __future__ import annotations

from functools import partial
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from app.comparison.results import KnownSpecs, load_results, with_fields
from store.ingest import apply_batch
from store.queries import get_query
from tests.store import lives
from tests.store.conftest import connection, empty_database

__all__ = ["connection", "empty_database"]


def ask(connection: duckdb.DuckDBPyConnection, asked: list[str], name: str, **parameters: Any) -> pa.Table:
    asked.append(name)
    return get_query(name).run(connection, parameters)


@pytest.fixture
def filled(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A generated graph with other epochs, and karate."""
    specs: tuple[dict[str, Any], ...] = (
        {"dataset": "sbm(nodes=500)", "training": {"epochs": 20}},
        {"training": {"lr": 0.5}},
    )
    for number, changes in enumerate(specs):
        apply_batch(connection, lives.received(lives.finished(f"r{number}", **changes), first=1 + 50 * number))
    return connection


def test_groups_of_one_name_are_told_apart_and_generated_data_says_so(filled: duckdb.DuckDBPyConnection) -> None:
    known, asked = KnownSpecs(), []
    found = load_results(partial(ask, filled, asked), known, "training", "quantized part").set_index("run")
    names = ["dataset", "model", "settings", "family", "dataset_name"]
    assert found.loc["r0", names].tolist() == ["sbm(nodes=500) (synthetic)", "gcn", "epochs=20", "affine", "sbm"]
    assert found.loc["r1", names].tolist() == ["karate", "gcn", "lr=0.5", "affine", "karate"]


def test_what_groups_share_is_asked_for_once(filled: duckdb.DuckDBPyConnection) -> None:
    known, asked = KnownSpecs(), []
    for _ in range(2):
        load_results(partial(ask, filled, asked), known, "training", "quantized part")
    assert asked == ["results", "group_specs", "results"]


def test_fields_that_differ_can_be_columns(filled: duckdb.DuckDBPyConnection) -> None:
    known = KnownSpecs()
    every = load_results(partial(ask, filled, []), known, "training", "quantized part")
    assert {"training.lr", "training.epochs"} <= set(known.varying())
    assert not {"scheme", "dataset.name", "model.hidden"} & set(known.varying())
    found = with_fields(every, known, ["training.lr", "dataset.nodes"]).set_index("run")
    assert found["training.lr"].to_dict() == {"r0": "0.01", "r1": "0.5"}
    assert found["dataset.nodes"].to_dict() == {"r0": "500", "r1": "–"}
