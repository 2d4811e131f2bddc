"""The bench of large graphs: a small run, and how its goal is judged."""

from __future__ import annotations

import sys

import pytest

from engine.bench import BENCHES
from engine.bench.large import _judge
from engine.errors import BitfrontError, InputError


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_a_small_run_gives_every_column_and_says_its_fraction():
    bench = BENCHES["large"]
    report = bench.run(fraction=0.01, epochs=2, cases=[("gcn", "int8", "full"), ("sage", "int8", "neighbours")])
    for row in report.rows:
        assert set(bench.columns) <= set(row)
        assert (row["nodes"], row["edges"], row["fraction"]) == (2330, 1_146_158, 0.01)
        assert row["seconds"] > 0
        assert row["peak"] == max(row["load_peak"], row["training_peak"])
    assert report.notes[0].startswith("like:reddit(factor=0.01) (synthetic), 1 thread(s)")
    assert [goal.met for goal in report.goals] == [True, True]


def test_the_goal_is_twenty_gigabytes():
    row = {"model": "gcn", "scheme": "int8", "batching": "full", "edges": 8, "peak": 20.5}
    goal = _judge(row)
    assert (goal.goal, goal.value, goal.met) == ("peak at most 20 GB, gcn int8 full, 8 edges", "20.50 GB", False)
    assert _judge({**row, "peak": 20.0}).met


def test_a_single_epoch_is_refused():
    with pytest.raises(InputError) as caught:
        BENCHES["large"].run(epochs=1)
    assert str(caught.value) == "epochs = 1 is not allowed: the first one is timed apart, so give 2 or more"


def test_a_case_that_fails_is_named_with_its_reason():
    with pytest.raises(BitfrontError) as caught:
        BENCHES["large"].run(fraction=0.003, cases=[("gcn", "int8", "full")])
    assert str(caught.value).startswith("the bench of large graphs failed on gcn int8 full: ")
    assert "like:reddit(factor=0.003) is too dense" in str(caught.value)


def test_its_options_can_be_given():
    assert dict(BENCHES["large"].options) == {"fraction": 0.02, "epochs": 3, "threads": 1}
