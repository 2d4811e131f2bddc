"""Ten thousand queued runs stay orderly: launched, listed and cancelled in seconds."""

from __future__ import annotations

import statistics
import time

from tasks.submit import cancel_all, submit
from tests.tasks.stack import Stack, karate, wait_for

MANY = 10_000
A_SECOND = 500
"""Runs a second that a launch takes at least."""
INTERACTIVE = 1.0
"""Seconds that a page may wait for a query, on a machine that does other things too."""


def _count(stack: Stack, state: str) -> int:
    return stack.store.health()["counts"].get(state, 0)


def test_ten_thousand_queued_runs_stay_orderly(served: Stack) -> None:
    before = _count(served, "cancelled")
    specs = [karate(seed=number % 10) for number in range(MANY)]
    began = time.monotonic()
    runs = submit(served.settings, specs)
    assert MANY / (time.monotonic() - began) >= A_SECOND
    wait_for(lambda: _count(served, "queued") == MANY, "the store knows them all", every=0.1)
    for name, parameters in (
        ("runs", {}),
        ("runs", {"states": "queued", "limit": 200}),
        ("runs", {"search": "karate", "offset": 5000}),
        ("counts", {}),
        ("facets", {}),
        ("dispatchable", {}),
    ):
        assert _seconds(served, name, **parameters) < INTERACTIVE, (name, parameters)
    [first, last] = (served.row(run) for run in (runs[0], runs[-1]))
    assert (first["queue_position"], last["queue_position"]) == (1, MANY)
    assert cancel_all(served.settings) == MANY
    wait_for(lambda: _count(served, "cancelled") == before + MANY, "all are cancelled", every=0.1)
    assert cancel_all(served.settings) == 0


def _seconds(stack: Stack, name: str, **parameters: str | int) -> float:
    took = []
    for _ in range(3):
        began = time.monotonic()
        stack.store.query(name, **parameters)
        took.append(time.monotonic() - began)
    return statistics.median(took)


def test_cancelling_all_takes_what_was_launched_a_moment_ago(served: Stack) -> None:
    runs = served.launch(karate(), karate(seed=1))
    assert cancel_all(served.settings) == 2
    for run in runs:
        assert served.until(run, "cancelled")["attempt"] == 0
