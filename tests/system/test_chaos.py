"""Everything is killed once while runs are going: each run still ends once, with its whole history."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tasks.stack import Stack, karate, wait_for

pytestmark = [pytest.mark.system, pytest.mark.chaos]
EPOCHS = 400
RUNS = 10


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    stack = Stack(tmp_path / "home")
    try:
        yield stack
    finally:
        stack.end_all()


def _finished(stack: Stack) -> int:
    return stack.store.health()["counts"].get("finished", 0)


def test_whatever_is_killed_every_run_ends_once_and_whole(stack: Stack) -> None:
    for name in ("queue", "store", "dispatcher", "worker@a", "worker@b"):
        stack.start(name)
    runs = stack.launch(*(karate(epochs=EPOCHS, seed=seed) for seed in range(RUNS)))
    for count, name in enumerate(("worker@a", "store", "queue", "dispatcher", "worker@b"), 1):
        wait_for(lambda count=count: _finished(stack) >= count, f"{count} runs finish", 120)
        stack.kill(name)
        stack.start(name)
    rows = [stack.until(run, "finished", "failed", "cancelled", seconds=120) for run in runs]
    assert {row["state"] for row in rows} == {"finished"}
    assert {row["gap"] for row in rows} == {False}
    for run in runs:
        assert stack.epochs(run) == list(range(1, EPOCHS + 1))
    assert stack.store.query("dead_letters").num_rows == 0
