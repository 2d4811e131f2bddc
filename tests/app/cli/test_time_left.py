"""The time left of a run: known after the first step, then from the last epochs, and it runs down in between."""

from __future__ import annotations

import pytest

from app.cli.time_left import WINDOW, TimeLeft, as_text


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_is_known_after_the_first_step_and_not_before():
    clock = Clock()
    left = TimeLeft(10, clock)
    assert left.seconds is None
    left.begin()
    clock.now += 7
    assert left.seconds is None
    left.step(1, 4)
    # A quarter of the first of ten epochs took 7 seconds: 21 to its end, and nine of 28.
    assert left.seconds == pytest.approx(21 + 9 * 28)


def test_a_full_batch_tells_it_before_its_first_evaluation():
    clock = Clock()
    left = TimeLeft(3, clock)
    left.begin()
    clock.now += 10
    left.step(1, 1)
    assert left.seconds == pytest.approx(20)


def test_later_it_follows_the_last_epochs_and_runs_down():
    clock = Clock()
    left = TimeLeft(20, clock)
    left.begin()
    left.epoch(100.0)
    for _ in range(WINDOW):
        left.epoch(10.0)
    assert left.seconds == pytest.approx(10 * (20 - WINDOW - 1))
    clock.now += 4
    assert left.seconds == pytest.approx(10 * (20 - WINDOW - 1) - 4)
    clock.now += 20
    assert left.seconds == pytest.approx(10 * (20 - WINDOW - 2)), "an epoch that takes longer ends any moment"


def test_nothing_is_left_after_the_last_epoch():
    left = TimeLeft(1, Clock())
    left.begin()
    left.epoch(3.0)
    assert left.seconds == 0


def test_it_reads_as_a_clock():
    assert [as_text(seconds) for seconds in (0.2, 59.6, 61, 3725)] == ["0:00", "1:00", "1:01", "1:02:05"]
