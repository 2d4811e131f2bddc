"""A sweep's table in the form's fields, and as a link."""

from __future__ import annotations

from typing import Any

import pytest

from app.launching.filling import NotInTheForm, form_values, from_older_link, link_of, sweep_link
from engine.sweep import expand
from tests.app.launching.filled import plan_of

TABLE: dict[str, Any] = {
    "name": "mine",
    "seeds": [0, 4],
    "priority": 2,
    "spec": {
        "dataset": ["cora", {"name": "sbm", "nodes": 300}],
        "model": ["gcn(hidden=64,input_dropout=true)", "gat"],
        "scheme": ["fp32", "int5:weight"],
        "training": {"lr": 0.05, "epochs": 150},
        "device": "cpu",
    },
}


def test_the_form_that_a_table_fills_in_launches_the_same_sweep() -> None:
    assert expand(plan_of(form_values(TABLE)).table).id == expand(TABLE).id


@pytest.mark.parametrize(
    ("dataset", "more", "runs", "toggle"),
    [
        ("proteins", {}, 3, "false"),
        (["proteins", "mutag"], {}, 6, "false"),
        ("proteins", {"task": "graph-classification(folds=10,fold=3)"}, 3, "false"),
        ("proteins", {"folds": 10}, 30, None),
        ("proteins", {"folds": 5}, 15, None),
        ("cora", {}, 3, None),
        (["cora", "proteins"], {}, 6, None),
    ],
)
def test_a_clone_trains_the_folds_that_were_launched(
    dataset: Any, more: dict[str, Any], runs: int, toggle: str | None
) -> None:
    task = {key: more[key] for key in ("task",) if key in more}
    folds = {key: more[key] for key in ("folds",) if key in more}
    table = {
        "name": "mine",
        "seeds": 3,
        **folds,
        "spec": {"dataset": dataset, "model": "gin", "scheme": "int8", **task},
    }
    filled = expand(plan_of(form_values(table)).table)
    assert len(filled.runs) == runs
    assert filled.id == expand(table).id
    assert sweep_link(table, "mine@1").get("every_fold") == toggle


def test_links_of_before_are_understood_where_one_is_picked() -> None:
    said = {"model.hidden": "64", "model.input_dropout": "true", "dataset.nodes": "300", "priority": "2", "seeds": "3"}
    assert from_older_link(said, ["sbm"], ["gcn"]) == {
        "priority": ("sweep.priority", 2),
        "dataset.nodes": ("dataset.sbm.nodes", 300),
        "model.hidden": ("model.gcn.hidden", 64),
        "model.input_dropout": ("model.gcn.input_dropout", True),
    }
    assert from_older_link(said | {"model.gcn.hidden": "8", "priority": "10"}, ["sbm", "cora"], ["gcn"]) == {
        "model.input_dropout": ("model.gcn.input_dropout", True)
    }
    assert from_older_link({"dataset.upload": "u1"}, ["file"], []) == {"dataset.upload": ("dataset.file.upload", "u1")}


def test_the_link_leaves_out_what_is_as_usual() -> None:
    assert link_of(form_values(TABLE)) == {
        "dataset": ["cora", "sbm"],
        "model": ["gcn", "gat"],
        "schemes": ["fp32"],
        "own": "int5:weight",
        "seeds": "0, 4",
        "dataset.sbm.nodes": "300",
        "model.gcn.hidden": "64",
        "model.gcn.input_dropout": "true",
        "training.lr": "0.05",
        "device": "cpu",
        "sweep.priority": "2",
        "name": "mine",
    }


@pytest.mark.parametrize(
    "more",
    [
        {"runs": [{"model": "gcn"}]},
        {"exclude": [{"dataset": "cora"}]},
        {"seeds": {"from": 0, "to": 4, "step": 2}},
        {"spec": {**TABLE["spec"], "model": ["gcn", "gcn(hidden=64)"]}},
        {"spec": {**TABLE["spec"], "training": {"lr": [0.1, 0.01]}}},
        {"spec": {**TABLE["spec"], "scheme": {"text": "int{n}", "n": [4, 8]}}},
        {"spec": {**TABLE["spec"], "model": {"name": "gcn", "hidden": {"from": 8, "to": 16, "step": 8}}}},
    ],
)
def test_what_the_form_cannot_say_stays_a_file(more: dict[str, Any]) -> None:
    with pytest.raises(NotInTheForm):
        form_values(TABLE | more)
    assert sweep_link(TABLE | more, "mine@1") == {"detail": "Sweep file", "clone": "mine@1"}
