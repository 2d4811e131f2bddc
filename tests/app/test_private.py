"""What a visitor who may only look is not told, whatever the store answers."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from app.private import HIDDEN, public, without_places
from engine.training import software

SOFTWARE = software()  # once: how many threads there are changes with the tests that run before
ATTEMPT = {"attempt": 1, "worker": "cpu-1@here", "host": "here", "pid": 7, "device": "cpu"}
TABLE = pa.table(
    {
        "run": ["r0"],
        "worker": ["cpu-1@here"],
        "host": ["here"],
        "pid": pa.array([7], pa.int64()),
        "provenance": [json.dumps({"nodes": 34, **SOFTWARE})],
        "attempts_detail": [json.dumps([ATTEMPT])],
        "reason": ["the file /srv/own/nodes.csv has no column x"],
    }
)


def test_hosts_processes_versions_and_paths_have_no_value() -> None:
    (row,) = public(TABLE).to_pylist()
    assert (row["run"], row["worker"], row["host"], row["pid"]) == ("r0", "cpu-1", None, None)
    assert json.loads(row["attempts_detail"]) == [ATTEMPT | {"worker": "cpu-1", "host": None, "pid": None}]
    assert row["reason"] == "the file … has no column x"
    told = {name: value for name, value in json.loads(row["provenance"]).items() if value is not None}
    assert told == {"nodes": 34, "threads": SOFTWARE["threads"]}


def test_columns_keep_their_types_and_what_is_not_private_its_values() -> None:
    assert public(TABLE).schema.types == TABLE.schema.types
    assert public(TABLE.select(["run"])).equals(TABLE.select(["run"]))
    assert public(TABLE.slice(0, 0)).num_rows == 0


def test_a_run_that_has_not_begun_has_nothing_to_hide() -> None:
    names = ["worker", "host", "provenance", "attempts_detail", "reason"]
    empty = pa.table({name: pa.array([None], pa.string()) for name in names})
    assert public(empty).equals(empty)


def test_every_version_that_a_run_records_is_hidden() -> None:
    assert set(SOFTWARE) - HIDDEN == {"threads"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("the mirror at /srv/data cannot be read", "the mirror at … cannot be read"),
        ("see ~/bitfront/logs: it says more", "see …: it says more"),
        ("the queue at redis://10.0.0.1:6379/0 does not answer", "the queue at … does not answer"),
        ("the store does not answer at http://127.0.0.1:9", "the store does not answer at …"),
        ("loss/metric of 1/3 and/or the epoch 2", "loss/metric of 1/3 and/or the epoch 2"),
    ],
)
def test_a_fault_is_told_without_places(text: str, told: str) -> None:
    assert without_places(text) == told
