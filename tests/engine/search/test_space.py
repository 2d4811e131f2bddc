"""Spaces: gaps and choices become scheme texts; SGQuant's table at each granularity; costs of many points at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from engine.errors import InputError
from engine.ledger.figures import FIGURES
from engine.search.cost import Costs
from engine.search.file import read_search, space_of
from engine.search.goal import Goal
from engine.search.space import GRANULARITIES, Space
from tests.engine.search.spaces import SPACE, price

ROW: dict[str, Any] = {"epsilon": 0.5, "spec": {"dataset": "cora", "model": "agnn"}}


def space(**table: Any) -> Space:
    return space_of(read_search({**ROW, "space": table}))


def test_a_point_becomes_a_scheme_text_of_any_formats_sites_and_schedules():
    mixed = space(scheme="emb[{a} -> 4]+att[{b}]", choices={"a": [1, "msfp13"], "b": [4, "fp32"]})
    assert mixed.scheme((1, 0)) == "emb[msfp13 -> 4]+att[4]"
    assert [list(axis.features) for axis in mixed.axes] == [[1, 5.5], [4, 32]]
    schedule = space(scheme="sdq[{a},{b}]", choices={"a": ["int2", "int4"], "b": ["int4", "int8"]})
    assert schedule.scheme((0, 1)) == "sdq[int2,int8]"


@pytest.mark.parametrize(
    ("granularity", "axes", "first"),
    [
        ("uniform", 1, "emb[1 -> 1 -> 1 -> 1]+att[fp32 -> 1 -> 1 -> fp32]"),
        ("lwq", 4, "emb[1 -> 1 -> 1 -> 1]+att[fp32 -> 1 -> 1 -> fp32]"),
        ("lwq+cwq", 6, "emb[1 -> 1 -> 1 -> 1]+att[fp32 -> 1 -> 1 -> fp32]"),
        (
            "lwq+cwq+taq",
            25,
            "emb[1,1,1,1 -> 1,1,1,1 -> 1,1,1,1 -> 1,1,1,1](splits=4-8-16)"
            "+att[fp32 -> 1,1,1,1 -> 1,1,1,1 -> fp32](splits=4-8-16)",
        ),
    ],
)
def test_a_finer_granularity_has_more_axes_over_the_layers_that_have_the_component(
    granularity: str, axes: int, first: str
):
    found = space(granularity=granularity, bits=[1, 2, 4])
    assert len(found.axes) == axes
    assert found.scheme((0,) * axes) == first


def test_a_table_may_be_of_some_sites_only():
    found = space(granularity="uniform", bits=[4], sites=["input", "attention"])
    assert found.scheme((0,)) == "emb[4 -> 4 -> 4 -> 4]+att[fp32 -> 4 -> 4 -> fp32]:input,attention"


def test_features_after_the_weight_may_be_a_component_of_a_space():
    file = read_search({
        **ROW,
        "spec": {"dataset": "cora", "model": "gcn"},
        "space": {"granularity": "lwq+cwq", "bits": [1, 4], "per": ["row", "tensor"], "components": ["emb", "feat"]},
    })  # fmt: skip
    found = space_of(file)
    assert found.template == (
        "emb[{emb1} -> {emb2}](per={per1}-{per2})+feat[{feat1} -> {feat2}](per={feat_per1}-{feat_per2})"
    )
    assert found.size == 2**8


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "a space has either granularity, with bits, or scheme, with choices: give one of them"),
        (
            {"granularity": "cwq", "bits": [1]},
            f"space.granularity = 'cwq' is not allowed: it is one of {', '.join(GRANULARITIES)}",
        ),
        (
            {"granularity": "lwq"},
            "space.bits is missing: name the widths or formats to choose from, such as [1, 2, 4, 8]",
        ),
        ({"scheme": "int8"}, "the space 'int8' has no gap: write each as {name}, and name its choices"),
        (
            {"scheme": "sgquant(bits={b})"},
            "the space 'sgquant(bits={b})' has the gap {b}, for which there are no choices",
        ),
        (
            {"scheme": "sgquant(bits={b})", "choices": {"b": [1], "c": [2]}},
            "there are choices for 'c', but the space 'sgquant(bits={b})' has no such gap",
        ),
        (
            {"granularity": "lwq", "bits": [1], "components": ["emb", "feet"]},
            "unknown component 'feet': did you mean feat? Allowed: att, emb, msg, feat",
        ),
        (
            {"scheme": "sgquant(bits={b})", "choices": {"b": [1, 1]}},
            "the choices for 'b' name one twice: 1, 1",
        ),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(table: dict[str, Any], message: str):
    with pytest.raises(InputError) as failure:
        space(**table)
    assert str(failure.value) == message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epsilon": None}, "a search has either epsilon (least cost within that drop), or budget or saving (best "
         "metric within that cost, or at that saving): give one of them"),
        ({"algorithm": "guide"}, "unknown algorithm 'guide': did you mean guided? Allowed: guided, random, nsga2"),
        ({"n_mea": 1000, "n_iter": 99}, "the search would measure 100000 points: at most 10000 are allowed"),
        (
            {"spec": {"dataset": "cora", "model": "agnn", "scheme": "int8"}},
            "spec.scheme is not allowed in a search: the space says which schemes there are",
        ),
        ({"n_mae": 3}, "unknown setting 'n_mae': did you mean n_mea or name"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(InputError) as failure:
        read_search({**ROW, "space": {"granularity": "lwq", "bits": [4]}, **changes})
    assert str(failure.value).startswith(message)


def test_only_figures_whose_less_is_better_are_costs():
    with pytest.raises(
        InputError, match="unknown figure of cost 'feature_saving': did you mean feature_share or feature_memory"
    ):
        read_search({**ROW, "space": {"granularity": "lwq", "bits": [4]}, "figure": "feature_saving"})
    assert FIGURES["feature_memory"].lower_is_better


def test_costs_that_are_sums_are_added_up_and_others_are_not():
    sums = Costs(SPACE, price)
    points = SPACE.draw(np.random.default_rng(1), 50)
    assert sums.are_sums
    assert sums.least() == price("lwq[1,1,1,1,1,1]")
    expected = [price(SPACE.scheme(tuple(map(int, point)))) for point in points]
    assert np.allclose(sums.of_many(points), expected)
    products = Costs(SPACE, lambda text: float(np.prod([int(bits) for bits in text[4:-1].split(",")])))
    assert not products.are_sums
    assert products.least() is None
    exact = [np.prod([int(bits) for bits in SPACE.scheme(tuple(map(int, p)))[4:-1].split(",")]) for p in points]
    assert np.allclose(products.of_many(points), exact)


@pytest.mark.parametrize("context", [0, 2, 5])
def test_costs_may_be_sums_given_one_choice_wherever_it_stands(context: int):
    def price(text: str) -> float:
        bits = [int(word) for word in text[4:-1].split(",")]
        return 7.0 + bits[context] * sum(place * each for place, each in enumerate(bits, 1))

    costs = Costs(SPACE, price)
    assert costs.are_sums
    points = SPACE.draw(np.random.default_rng(2), 50)
    assert np.allclose(costs.of_many(points), [price(SPACE.scheme(tuple(map(int, point)))) for point in points])
    assert costs.least() == price("lwq[1,1,1,1,1,1]")


def test_what_meets_the_goal_comes_first_and_then_what_is_nearest_to_it():
    within = Goal(80.0, epsilon=0.5)
    rows = [(79.5, 9.0), (81.0, 10.0), (79.0, 1.0), (None, 0.5), (79.4, 2.0)]
    assert sorted(rows, key=lambda row: within.key(*row)) == [rows[0], rows[1], rows[4], rows[2], rows[3]]
    budget = Goal(80.0, budget=9.0)
    assert sorted(rows[:3], key=lambda row: budget.key(*row)) == [rows[0], rows[2], rows[1]]
    errors = Goal(1.0, epsilon=0.1, higher_is_better=False)
    assert errors.is_met(1.1, 5.0)
    assert not errors.is_met(1.2, 5.0)
