"""Guided beside random: what is a pair, what is better, and the mean of the differences."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import t

from app.search_pairs import Advantage, advantage, best, pairs
from app.search_rows import Candidate, Told
from tests.app.charts.test_searching import TOLD, candidate


def searched(algorithm: str, *values: float, seed: int = 0, state: str = "finished", **file: Any) -> tuple[Any, Told]:
    """A search for the best metric within a cost of 20, of which each value cost 20 and one more cost too much."""
    table = {"algorithm": algorithm, "seed": seed, "figure": "feature_memory", "budget": 20.0, **file}
    name = f"{algorithm}-{seed}-{len(values)}"
    row = {"search": name, "dataset": "cora", "model": "gcn", "state": state, "file": json.dumps(table)}
    found = [replace(candidate(1, 20, value), scheme=f"emb[{value}]") for value in values]
    found.append(Candidate("emb[8]", "s-9", 1, 80, 99.0, 90.0, 1.25))
    told = replace(TOLD, search=name, algorithm=algorithm, epsilon=None, budget=20.0, candidates=tuple(found))
    return row, told


def test_what_is_best_is_what_the_goal_asks_for() -> None:
    assert best(searched("guided", 79.0, 80.5)[1]) == 80.5
    assert best(replace(searched("guided", 79.0, 80.5)[1], higher_is_better=False)) == 79.0
    assert best(TOLD) == 100 / 10  # the most saving within half a point of 80
    assert best(replace(TOLD, candidates=())) is None


def test_searches_that_differ_in_the_algorithm_only_are_pairs() -> None:
    rows = [
        searched("guided", 79.0, 80.5, name="mine", confirm=10),
        searched("guided", 60.0),  # an older one
        searched("random", 79.0, 80.0, name="theirs", confirm=0),
        searched("guided", 81.0, seed=1),
        searched("random", 82.0, seed=1),
        searched("guided", 70.0, seed=2),
        searched("random", 50.0, seed=2, space={"bits": [4]}),  # of another space
        searched("nsga2", 99.0),
    ]
    found = pairs(rows, "guided", "random")
    assert [(pair.row, pair.seed, pair.one, pair.other, pair.difference, pair.same_start) for pair in found] == [
        ("cora × gcn", 0, 80.5, 80.0, 0.5, False),
        ("cora × gcn", 1, 81.0, 82.0, -1.0, False),
    ]
    assert [pair.other for pair in pairs(rows, "guided", "nsga2")] == [99.0]


def test_a_search_that_did_not_come_to_its_end_is_in_no_pair() -> None:
    rows = [
        searched("guided", 99.0, state="cancelled"),  # the newest
        searched("guided", 98.0, state="running"),
        searched("guided", 79.0, state="failed"),  # over: none of its finalists held
        searched("random", 80.0),
    ]
    assert [pair.one for pair in pairs(rows, "guided", "random")] == [79.0]


def test_both_are_judged_by_as_many_configurations() -> None:
    longer, shorter = searched("guided", 79.0, 80.0, 82.0), searched("random", 79.5)
    [pair] = pairs([longer, shorter], "guided", "random")
    assert (pair.measured, pair.one, pair.other) == (2, 80.0, 79.5)


def test_less_is_better_where_the_metric_says_so() -> None:
    two = [searched("guided", 79.0), searched("random", 80.0)]
    [pair] = pairs([(row, replace(told, higher_is_better=False)) for row, told in two], "guided", "random")
    assert pair.difference == 1.0


def test_the_same_first_batch_is_said() -> None:
    [pair] = pairs([searched("guided", 79.0, 80.0), searched("random", 80.0, 79.0)], "guided", "random")
    assert pair.same_start


def test_the_mean_of_the_differences_has_its_interval() -> None:
    rows = [searched("guided", value, seed=seed) for seed, value in enumerate((80.0, 81.0, 82.0))]
    rows += [searched("random", value, seed=seed) for seed, value in enumerate((79.0, 79.5, 82.5))]
    found = advantage(pairs(rows, "guided", "random"))
    std = math.sqrt(((1 - 2 / 3) ** 2 + (1.5 - 2 / 3) ** 2 + (-0.5 - 2 / 3) ** 2) / 2)
    assert found is not None
    assert (found.n, found.mean) == (3, pytest.approx(2 / 3))
    assert found.ci95 == pytest.approx(float(t.ppf(0.975, 2)) * std / math.sqrt(3))
    assert advantage(pairs(rows[:1] + rows[3:4], "guided", "random")) == Advantage(1, 1.0, None)
    assert advantage([]) is None


def test_a_search_that_found_nothing_within_the_goal_is_left_out_of_the_mean() -> None:
    rows = [searched("guided"), searched("random", 79.0)]
    [pair] = pairs(rows, "guided", "random")
    assert (pair.one, pair.other, pair.difference) == (None, 79.0, None)
    assert advantage([pair]) is None
