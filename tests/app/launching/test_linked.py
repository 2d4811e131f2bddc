"""A link of the Launch page read without the page: the same runs as the form launches."""

from __future__ import annotations

from typing import Any

import pytest

from app.clone import clone_parameters
from app.launching.filling import form_values, link_of
from app.launching.linked import plan_of_link
from engine.errors import InputError
from engine.spec import RunSpec
from engine.sweep import expand
from tests.app.launching.test_filling import TABLE


def linked(values: dict[str, Any], uploaded: dict[str, str] | None = None) -> dict[str, Any]:
    """The table that a link with these parameters launches."""
    link = {name: value if isinstance(value, list) else [value] for name, value in values.items()}
    return plan_of_link(link, uploaded or {}).table


def test_an_empty_link_is_the_form_as_it_is_at_first() -> None:
    assert linked({}) == {
        "name": "cora-gcn",
        "seeds": 3,
        "spec": {"dataset": "cora", "model": "gcn", "scheme": [RunSpec.model_fields["scheme"].default]},
    }


@pytest.mark.parametrize("more", [{}, {"budget": {"runs": 3, "hours": 0.5}}, {"measure": True}])
def test_the_link_of_a_sweep_launches_the_same_sweep(more: dict[str, Any]) -> None:
    table = TABLE | more
    assert expand(linked(link_of(form_values(table)))).id == expand(table).id
    assert {name: linked(link_of(form_values(table)))[name] for name in more} == more


@pytest.mark.parametrize("task", ["graph-classification(folds=10,fold=3)", "graph-classification(folds=5)"])
def test_one_fold_stays_one_fold(task: str) -> None:
    table = {"name": "one", "spec": {"dataset": "proteins", "model": "gcn", "scheme": "int8", "task": task}}
    assert expand(linked(link_of(form_values(table)))).id == expand(table).id


def test_a_run_of_one_fold_is_cloned_as_that_fold_and_a_group_with_every_fold() -> None:
    task = {"name": "graph-classification", "folds": 10, "fold": 3}
    spec = RunSpec.parse({"dataset": "proteins", "model": "gcn", "scheme": "int8", "task": task, "seed": 7})
    data = spec.model_dump(mode="json")
    (alone,) = expand(linked(clone_parameters(data, [7], "r0", one_fold=True))).runs
    assert alone.hash == spec.hash
    every = expand(linked(clone_parameters(data, [7], "r0"))).runs
    assert [run.task.model_dump()["fold"] for run in every] == list(range(10))


def test_an_upload_has_its_own_labels() -> None:
    link = {"dataset": "file", "dataset.file.upload": "u" * 64}
    assert linked(link, {"u" * 64: "several"})["spec"]["dataset"].startswith("file(")
    assert "several" in linked(link, {"u" * 64: "several"})["spec"]["dataset"]
    assert linked(link)["spec"]["dataset"] == "file"


def test_what_is_not_allowed_is_as_usual_and_what_cannot_be_read_is_said() -> None:
    assert linked({"dataset": "gone", "training.epochs": "many"})["spec"] == {
        "dataset": [],
        "model": "gcn",
        "scheme": [RunSpec.model_fields["scheme"].default],
    }
    with pytest.raises(InputError, match="seeds = 'x' is not allowed"):
        linked({"seeds": "x"})
