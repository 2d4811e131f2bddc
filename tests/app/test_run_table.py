"""Runs as rows of a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.run_table import can_resume, progress_text, run_names, run_table, share_done, state_badge


def row(**changes) -> dict:
    return {
        "run": "0mwppi9nb0001",
        "scheme": "int8",
        "seed": 0,
        "state": "running",
        "epoch": 30,
        "total_epochs": 150,
        "seconds_left": 4.0,
        "queue_position": None,
    } | changes


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "30 of 150 · 4.0 s left"),
        ({"seconds_left": None}, "30 of 150"),
        ({"state": "finished", "epoch": 150}, "150 of 150"),
        ({"state": "queued", "queue_position": 1}, "next in the queue"),
        ({"state": "queued", "queue_position": 12}, "place 12 in the queue"),
        ({"state": "cancelled", "epoch": 0, "total_epochs": None}, ""),
    ],
)
def test_progress_in_words(changes: dict, text: str) -> None:
    assert progress_text(row(**changes)) == text


def test_share_done_stays_within_the_bar() -> None:
    assert [share_done(row(epoch=epoch)) for epoch in (0, 75, 200)] == [0, 0.5, 1]
    assert share_done(row(total_epochs=None)) == 0


def test_names_are_unique() -> None:
    rows = [row(), row(run="0mwppi9nb0002"), row(run="0mwppi9nb0003", seed=1)]
    assert list(run_names(rows).values()) == ["int8 · seed 0 · b0001", "int8 · seed 0 · b0002", "int8 · seed 1"]


def test_a_state_is_a_coloured_chip() -> None:
    assert state_badge("failed") == ":red-badge[failed]"
    assert state_badge("queued", 3) == ":gray-badge[3 queued]"


UNSAID = dict.fromkeys(
    ("fold", "best_val", "test_at_best_val", "submitted_at", "worker", "sweep", "name", "heard_at")
) | {"dataset": "karate", "model": "gcn", "synthetic": False}


def test_it_says_when_a_run_was_last_heard_from_until_it_is_over() -> None:
    now = datetime.now(UTC)
    heard = UNSAID | {"heard_at": now - timedelta(seconds=40)}
    rows = [
        row(is_silent=True, **heard),
        row(is_silent=False, **UNSAID | {"heard_at": now}),
        row(is_silent=False, **UNSAID),
        row(is_silent=False, state="finished", **heard),
    ]
    assert run_table(rows, now)["Heard from"].tolist() == ["40 s ago", "now", "", ""]


def test_a_run_that_is_silent_is_marked_beside_its_state() -> None:
    rows = [row(is_silent=True, **UNSAID), row(is_silent=False, **UNSAID)]
    assert run_table(rows, datetime.now(UTC))["State"].tolist() == [["running", "silent"], ["running"]]


@pytest.mark.parametrize(
    ("state", "origin", "can"),
    [
        ("cancelled", "queue", True),
        ("failed", "queue", True),
        ("finished", "queue", False),
        ("running", "queue", False),
        ("cancelled", "local", False),
    ],
)
def test_what_a_worker_left_unfinished_can_be_resumed(state: str, origin: str, can: bool) -> None:
    assert can_resume(row(state=state, origin=origin)) is can
