"""What to measure next: the known optimum is found, budgets are equal, the first batch is shared."""

from __future__ import annotations

import statistics

import pytest

from engine.search.algorithms import ALGORITHMS, Algorithm, Evolution, Guided, Measured, Random, Sizes, front
from tests.engine.search.spaces import OPTIMUM, SPACE, least, made, spend, value

SIZES = Sizes(n_mea=20, n_sample=500, n_iter=9)
KINDS = list(ALGORITHMS.values())


def test_the_guided_search_finds_the_known_optimum_and_random_search_does_not():
    guided = [least(spend(made(Guided, SIZES, seed))) for seed in range(3)]
    random = [least(spend(made(Random, SIZES, seed))) for seed in range(3)]
    assert guided == [OPTIMUM] * 3
    assert min(random) > OPTIMUM


def test_nsga2_comes_near_the_optimum():
    assert least(spend(made(Evolution, SIZES))) < 1.01 * OPTIMUM


@pytest.mark.parametrize("kind", KINDS)
def test_each_spends_the_same_budget_and_measures_no_point_twice(kind: type[Algorithm]):
    told = spend(made(kind, Sizes(7, 100, 3)))
    assert len({each.point for each in told}) == len(told) == 28


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_batch_is_the_same_for_all(kind: type[Algorithm]):
    assert made(kind, SIZES, 4).ask() == made(Random, SIZES, 4).ask()
    assert made(kind, SIZES, 5).ask() != made(Random, SIZES, 4).ask()


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_told_the_same_asks_the_same(kind: type[Algorithm]):
    sizes = Sizes(6, 60, 3)
    first, second = made(kind, sizes), made(kind, sizes)
    while batch := first.ask():
        again = second.ask()
        assert again == batch
        measured = [Measured(each.point, value(each.point), first.costs.of(each.point)) for each in batch]
        first.tell(measured)
        second.tell(measured)
    assert second.ask() == []


@pytest.mark.parametrize("kind", KINDS)
def test_points_that_fail_do_not_stop_it(kind: type[Algorithm]):
    algorithm = made(kind, Sizes(5, 50, 3))
    while batch := algorithm.ask():
        algorithm.tell(Measured(each.point, None if place else 70.0, 1.0) for place, each in enumerate(batch))
    assert len(algorithm.told) == 20


def test_a_space_with_fewer_points_than_the_budget_is_measured_whole():
    from engine.search.cost import Costs
    from engine.search.goal import Goal
    from engine.search.space import Space

    space = Space.of("sgquant(bits={b})", {"b": [1, 2, 4]})
    for kind in KINDS:
        costs = Costs(space, lambda scheme: float(len(scheme)))
        algorithm = kind(space, costs, Goal(80.0, epsilon=1.0), Sizes(2, 10, 5), 0, lambda point: True)
        while batch := algorithm.ask():
            algorithm.tell(Measured(each.point, 80.0, 1.0) for each in batch)
        assert sorted(each.point for each in algorithm.told) == [(0,), (1,), (2,)]


def test_an_iteration_of_the_cost_model_takes_less_than_a_tenth_of_a_second():
    algorithm = made(Guided, Sizes(20, 2000, 9))
    spend(algorithm)
    assert statistics.median(algorithm.model_seconds) < 0.1


def test_the_front_is_what_no_other_point_beats():
    points = [
        Measured((0,), 70.0, 1.0),
        Measured((1,), 69.0, 2.0),
        Measured((2,), 80.0, 3.0),
        Measured((3,), None, 0.5),
    ]
    assert [each.point for each in front(points)] == [(0,), (2,)]
    assert [each.point for each in front(points, higher_is_better=False)] == [(0,), (1,)]
    assert SPACE.size == 5**6
