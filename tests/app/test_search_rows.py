"""Which searches stand beside one, and what its winner is launched with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from app.search_rows import alike, of_one_goal, trial_table, winner_figures, winner_parameters
from tests.app.charts.test_searching import TOLD


def row(search: str, *, figure: str = "feature_memory", scheme: str = "", **spec: Any) -> dict[str, Any]:
    file = {"figure": figure, "spec": {"dataset": "karate", "model": "gcn", **spec}}
    result = json.dumps({"scheme": scheme}) if scheme else None
    return {"search": search, "dataset": "karate", "model": "gcn", "file": json.dumps(file), "result": result}


def test_searches_of_another_task_or_cost_do_not_stand_beside_one() -> None:
    mine = row("a")
    rows = [
        mine,
        row("b", task="node-classification"),
        row("c", task={"name": "link-prediction"}),
        row("d", figure="weight_memory"),
        row("e", dataset="gone"),
    ]
    assert [each["search"] for each in alike(mine, rows)] == ["a", "b"]


def test_savings_are_compared_within_one_goal() -> None:
    other, budget = replace(TOLD, epsilon=1.0), replace(TOLD, epsilon=None, budget=10.0)
    same = replace(TOLD, search="s2")
    assert of_one_goal([TOLD, other, same, budget]) == [TOLD, same]


def test_the_winner_is_launched_as_the_search_had_it() -> None:
    mine = row("a", scheme="int5:weight", seed=4, model="gcn(hidden=64)", training={"epochs": 20})
    trials = [{"run": f"a-{place}", "scheme": scheme} for place, scheme in enumerate(("fp32", "int5:weight", "fp32"))]
    found = winner_parameters(mine, trials)
    names = ("dataset", "own", "schemes", "seeds", "model.gcn.hidden", "training.epochs", "parent")
    assert [found[name] for name in names] == ["karate", "int5:weight", "", "4,", "64", "20", "a-1"]
    assert "parent" not in winner_parameters(mine, [])
    assert winner_parameters(row("a", scheme="int5:weight", dataset="gone"), trials) == {"own": "int5:weight"}


def test_trials_have_what_was_predicted_and_measured_and_no_test() -> None:
    trials = [
        {"number": 0, "run": "t-0", "stage": "reference", "batch": 0, "scheme": "fp32", "predicted": None},
        {"number": 1, "run": "t-1", "stage": "measure", "batch": 1, "scheme": "int8", "predicted": 79.5},
    ]
    rest = {"seed": 0, "state": "finished", "cost": 10.0, "val_best": 80.0, "unit": "%", "seconds": 1.5, "reason": None}
    candidate = replace(TOLD.candidates[0], run="t-1", value=80.0, saving=4.0)
    told = replace(TOLD, candidates=(candidate,), reference=80.5, epsilon=1.0, budget=None)
    size = json.dumps({"trained_on": {"nodes": 34, "edges": 156, "features": 34, "classes": 4}})
    found = trial_table(row("a"), [each | rest for each in trials], told, size)
    assert found[["Scheme", "Average bits (SGQuant)", "Predicted", "Measured"]].values.tolist()[1] == [
        *("int8", 8.0, 79.5, 80.0),
    ]
    assert found["Within the goal"].tolist() == [None, True]
    assert found["Saving"].tolist()[1] == 4.0
    assert not [name for name in found.columns if "test" in name.lower()]


def test_a_winner_without_a_confirmation_has_two_figures() -> None:
    won = row("a") | {"result": json.dumps({"scheme": "int4", "saving": 8.0, "unit": "%"})}
    assert [(each.title, each.text) for each in winner_figures(won)] == [
        ("Saving of feature memory", "8.00×"),
        ("Average bits (SGQuant)", "–"),
    ]
    assert winner_figures(row("a")) == []
