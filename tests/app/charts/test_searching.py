"""A search's charts: what stands where, and what is drawn when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.charts.searching import granularity_chart, predicted_chart, saving_chart, search_front
from app.search_rows import Candidate, Told
from engine.ledger.figures import FIGURES


def candidate(place: int, cost: float, value: float, predicted: float | None = None) -> Candidate:
    batch = 0 if predicted is None else 1
    return Candidate(f"emb[{place}]", f"s-{place}", batch, cost, value, predicted, 100 / cost)


TOLD = Told(
    search="s1",
    title="cora (s1)",
    algorithm="guided",
    granularity="lwq",
    reference=80.0,
    fp32_cost=100.0,
    epsilon=0.5,
    budget=None,
    figure="feature_memory",
    unit="%",
    metric="accuracy",
    higher_is_better=True,
    candidates=(
        candidate(1, 20, 79.6),
        candidate(2, 4, 70.0),
        candidate(3, 10, 79.5, predicted=79.0),
        candidate(4, 25, 79.4, predicted=80.0),
    ),
)


def test_the_front_shows_batches_the_edge_of_the_goal_and_the_winner() -> None:
    figure = search_front(TOLD, winner="emb[3]").to_dict()
    by_name = {trace["name"]: trace for trace in figure["data"]}
    assert list(by_name["first batch, at random"]["x"]) == [5, 25]
    assert list(by_name["later batches"]["x"]) == [10, 4]
    assert list(zip(by_name["front"]["x"], by_name["front"]["y"], strict=True)) == [(5, 79.6), (10, 79.5), (25, 70)]
    assert (list(by_name["winner"]["x"]), list(by_name["winner"]["y"])) == ([10], [79.5])
    [edge] = figure["layout"]["shapes"]
    assert edge["y0"] == 79.5
    assert figure["layout"]["xaxis"]["title"]["text"] == "Saving (×)"


def test_before_fp32s_cost_is_known_the_cost_itself_is_the_axis() -> None:
    blind = [replace(each, saving=None) for each in TOLD.candidates]
    figure = search_front(replace(TOLD, fp32_cost=None, candidates=tuple(blind))).to_dict()
    assert figure["layout"]["xaxis"]["title"]["text"] == FIGURES["feature_memory"].axis
    front = next(trace for trace in figure["data"] if trace["name"] == "front")
    assert list(front["x"]) == [4, 10, 20]


def test_only_what_was_predicted_stands_against_its_measurement() -> None:
    line, points = predicted_chart(TOLD).to_dict()["data"]
    assert list(zip(points["x"], points["y"], strict=True)) == [(79.0, 79.5), (80.0, 79.4)]
    assert list(line["x"]) == list(line["y"]) == [79.0, 80.0]


def test_each_granularity_has_a_front_of_errors() -> None:
    other = replace(TOLD, search="s2", granularity="uniform", candidates=(candidate(1, 50, 79.0),))
    first, second = granularity_chart([TOLD, other]).to_dict()["data"]
    assert (first["name"], second["name"]) == ("lwq", "uniform")
    assert list(first["x"]) == [4, 10, 20]
    assert list(first["y"]) == pytest.approx([30.0, 20.5, 20.4])
    assert (list(second["x"]), list(second["y"])) == ([50], [21.0])


@pytest.mark.parametrize(
    ("figure", "title"),
    [
        ("feature_memory", "Feature memory (inference, bytes)"),
        ("bit_operations.training", "Bit operations (training, BitOPs an epoch)"),
        ("feature_share", "Share of features in memory (inference, %)"),
        ("of_another_version", "Of another version"),
    ],
)
def test_a_cost_stands_in_its_figures_own_unit(figure: str, title: str) -> None:
    drawn = granularity_chart([replace(TOLD, figure=figure)]).to_dict()
    assert drawn["layout"]["xaxis"]["title"]["text"] == title


def test_the_best_saving_counts_only_what_keeps_the_goal() -> None:
    assert TOLD.best_savings == [5, 5, 10, 10]
    [line] = saving_chart([TOLD]).to_dict()["data"]
    assert (list(line["x"]), list(line["y"])) == ([1, 2, 3, 4], [5, 5, 10, 10])
    errors = replace(TOLD, higher_is_better=False, reference=79.0)
    assert [errors.is_met(each) for each in errors.candidates] == [False, True, True, True]
    budget = replace(TOLD, epsilon=None, budget=10.0)
    assert [budget.is_met(each) for each in budget.candidates] == [False, True, True, False]


def test_what_is_pointed_at_says_its_units() -> None:
    template = granularity_chart([replace(TOLD, figure="feature_memory")]).to_dict()["data"][0]["hovertemplate"]
    assert template == "%{hovertext}<br>error %{y:.2f} % at %{x:.4s} bytes<extra></extra>"
