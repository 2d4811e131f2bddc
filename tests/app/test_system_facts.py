"""What the System page says of a home: what is well and what is not, sizes, versions, data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.system_facts import LEAST_FREE, checks, datasets, package_versions, places, versions
from engine.settings import Settings
from tasks.standing import Standing

HEALTH = {
    "trouble": None,
    "version": "1",
    "schema_version": 5,
    "stream_position": "7-0",
    "counts": {"queued": 2},
    "dead_letters": 0,
}
QUEUE = Standing("Valkey 9.0.0", 10**6, 7500, True, {"cpu": 1, "cuda": 0}, {"cpu": 2, "cuda": 0}, 40, 0)
ALIVE = [{"alive": True}]


def said(health: dict[str, Any] = HEALTH, queue: Standing | str = QUEUE, workers: list = ALIVE, **more: Any):
    found = checks(health, queue, workers, more.get("version", "1"), more.get("free", 10**12))
    return {check.name: (check.is_well, check.said) for check in found}


def test_all_that_is_well_is_said_to_be() -> None:
    assert said() == {
        "Store": (True, "answers, and has applied every event up to 7-0"),
        "Queue": (True, "Valkey 9.0.0 answers, up for 2 h 5 min"),
        "Dispatcher": (True, "hands queued runs to the workers"),
        "Workers": (True, "1 alive"),
        "Events": (True, "every event could be applied"),
        "Disk": (True, "1,000,000 MB free"),
    }


@pytest.mark.parametrize(
    ("name", "sentence", "changes"),
    [
        (
            "Store",
            "what happens now is not remembered yet: the disk is full",
            {"health": HEALTH | {"trouble": "the disk is full"}},
        ),
        (
            "Store",
            "it is version 1, this dashboard is 2: restart both with `bitfront up`",
            {"version": "2"},
        ),
        (
            "Queue",
            "the queue at here does not answer: what is trained goes on, nothing new is handed out",
            {"queue": "the queue at here does not answer"},
        ),
        (
            "Dispatcher",
            "none is running, so queued runs wait: `bitfront up` starts it",
            {"queue": replace(QUEUE, has_dispatcher=False)},
        ),
        ("Workers", "none is alive, and 2 runs waiting: `bitfront up` starts some", {"workers": [{"alive": False}]}),
        (
            "Events",
            "1 event could not be applied: see below what and why",
            {"health": HEALTH | {"dead_letters": 1}},
        ),
        ("Disk", "1,999 MB free: make room, or runs fail", {"free": LEAST_FREE - 10**6}),
    ],
)
def test_what_is_not_well_says_what_to_do(name: str, sentence: str, changes: dict[str, Any]) -> None:
    found = said(**changes)
    assert found[name] == (False, sentence)
    assert [other for other, (is_well, _) in found.items() if not is_well] == [name]


def test_events_that_the_page_does_not_show_are_counted_only() -> None:
    found = {check.name: check.said for check in checks(HEALTH | {"dead_letters": 2}, QUEUE, ALIVE, "1", None)}
    assert found["Events"] == "2 events could not be applied: see below what and why"
    hidden = checks(HEALTH | {"dead_letters": 2}, QUEUE, ALIVE, "1", None, shows_letters=False)
    assert {check.name: check.said for check in hidden}["Events"] == "2 events could not be applied"


def test_no_worker_is_no_fault_while_nothing_waits() -> None:
    assert said(HEALTH | {"counts": {}}, workers=[])["Workers"] == (True, "none is alive")


def test_of_a_store_elsewhere_the_disk_is_not_judged() -> None:
    assert "Disk" not in said(free=None)


def test_parts_of_the_home_say_what_they_take(settings: Settings) -> None:
    settings = settings.model_copy(update={"data": settings.home / "data"})
    (settings.artifacts / "r0" / "1").mkdir(parents=True)
    (settings.artifacts / "r0" / "1" / "model").write_bytes(b"x" * 1000)
    settings.database.write_bytes(b"x" * 300)
    settings.database.with_name("bitfront.duckdb.wal").write_bytes(b"x" * 11)
    found = {place.name: (place.files, place.size) for place in places(settings)}
    assert found["Artifacts"] == (1, 1000)
    assert found["Database"] == (2, 311)
    assert found["Records"] == (0, 0)


def test_every_folder_of_records_and_the_own_cost_tables_are_counted(settings: Settings) -> None:
    folders = (settings.saved_views, settings.sweep_records, settings.search_records, settings.costs)
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "one").write_bytes(b"x" * 10)
    found = {place.name: (place.files, place.size) for place in places(settings)}
    assert found["Views, sweeps and searches"] == (3, 30)
    assert found["Cost tables"] == (1, 10)


def test_versions_name_every_package_that_is_needed_and_both_services() -> None:
    found = versions(HEALTH, QUEUE)
    assert (found["Store"], found["Queue"]) == ("1, schema 5", "Valkey 9.0.0")
    assert {"torch", "streamlit", "duckdb", "pyarrow"} <= set(package_versions())
    assert "pytest" not in found
    assert versions(HEALTH, None)["Queue"] == "does not answer"


def test_datasets_say_where_they_are_and_those_that_are_here_come_first(settings: Settings) -> None:
    bare = settings.model_copy(update={"mirror": None, "data": settings.home / "data"})
    (bare.data_root / "Planetoid" / "Cora" / "processed").mkdir(parents=True)
    (bare.data_root / "Planetoid" / "Cora" / "processed" / "data.pt").write_bytes(b"x" * 10)
    found, trouble = datasets(bare)
    assert trouble is None
    cora = next(row for row in found if row.name == "cora")
    assert (cora.where, cora.size) == ("here", 10)
    assert {row.name for row in found[:4]} >= {"cora", "karate"}
    assert [row.where for row in found] == sorted((row.where for row in found), key=["here", "to download"].index)


def test_a_mirror_that_cannot_be_read_is_said_and_hides_nothing(settings: Settings) -> None:
    lost = settings.model_copy(update={"mirror": str(settings.home / "nowhere")})
    found, trouble = datasets(lost)
    assert trouble is not None
    assert str(settings.home / "nowhere") in trouble
    assert len(found) > 30
