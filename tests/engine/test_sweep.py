"""Sweeps: every list is an axis, seeds outermost, and slips are refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import InputError
from engine.sweep import expand, with_settings

TABLE: dict[str, Any] = {
    "name": "formats",
    "seeds": 2,
    "spec": {"dataset": ["cora", "karate"], "model": "gcn", "scheme": ["fp32", "int8"], "training": {"epochs": 5}},
}


def test_every_list_is_an_axis_and_seeds_come_outermost():
    runs = expand(TABLE).runs
    found = [(run.seed, run.dataset.name, run.scheme) for run in runs]
    assert found == [
        (seed, dataset, scheme) for seed in (0, 1) for dataset in ("cora", "karate") for scheme in ("fp32", "int8")
    ]


def test_lists_inside_tables_are_axes_too():
    table = {
        "spec": {"dataset": "karate", "model": {"name": "gcn", "layers": [1, 2, 3]}, "training": {"lr": [0.1, 0.2]}}
    }
    assert len(expand(table).runs) == 6


def test_seeds_and_epochs_override_the_files():
    runs = expand(TABLE, seeds=1, epochs=2).runs
    assert {run.seed for run in runs} == {0}
    assert {run.training.epochs for run in runs} == {2}


def test_seeds_may_be_named():
    assert {run.seed for run in expand({**TABLE, "seeds": [3, 9]}).runs} == {3, 9}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 0}, "seeds = 0 is not allowed: name 1 to 10000 seeds, by their number or as a list"),
        ({"seeds": [1, 1]}, "seeds = [1, 1] names a seed twice"),
        ({"sede": 1}, "unknown setting 'sede': did you mean seeds or spec? Allowed: name, seeds, priority, spec"),
        ({"spec": {"dataset": [], "model": "gcn"}}, "spec.dataset is an empty list: name at least one value"),
        (
            {"spec": {"dataset": "cora", "model": "gcn", "seed": 1}},
            "spec.seed is not allowed in a sweep: name the seeds by 'seeds'",
        ),
        (
            {"spec": {"dataset": "cora", "model": "gcn", "scheme": ["int8", "int99"]}},
            "int99: the bits of an integer format go from 1 to 16",
        ),
        (
            {
                "seeds": 10_000,
                "spec": {"dataset": "cora", "model": "gcn", "training": {"lr": [0.001 * i for i in range(1, 12)]}},
            },
            "the sweep has 110000 runs; at most 100000 are allowed",
        ),
    ],
)
def test_slips_are_refused(change: dict[str, Any], message: str):
    with pytest.raises(InputError) as caught:
        expand({**TABLE, **change})
    assert str(caught.value) == message


def test_settings_open_a_component_that_was_given_as_text():
    data = with_settings({"model": "gcn(hidden=8)"}, {"model.layers": 3, "seed": 4})
    assert data == {"model": {"name": "gcn", "hidden": 8, "layers": 3}, "seed": 4}


def test_a_setting_goes_one_dot_deep():
    with pytest.raises(InputError) as caught:
        with_settings({}, {"training.adam.lr": 1})
    assert str(caught.value) == "unknown setting 'training.adam.lr': at most one dot is allowed, as in training.lr"
