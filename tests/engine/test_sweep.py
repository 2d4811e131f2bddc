"""Sweeps: every list is an axis, seeds outermost, and slips are refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InputError
from engine.sweep import Sweep, expand, read_sweep_file, with_settings

TABLE: dict[str, Any] = {
    "name": "formats",
    "seeds": 2,
    "spec": {"dataset": ["cora", "karate"], "model": "gcn", "scheme": ["fp32", "int8"], "training": {"epochs": 5}},
}

PUBLISHED = {
    "dataset": "cora",
    "model": "gcn",
    "scheme": "fp32",
    "value": 82.2,
    "source": "SGQuant, Table III",
    "provenance": "given",
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


def test_blocks_are_grids_of_their_own_over_the_base():
    runs = expand(
        {
            "seeds": 2,
            "spec": {"dataset": ["cora", "karate"], "scheme": "fp32", "training": {"epochs": 5, "lr": 0.1}},
            "runs": [{"model": "gcn"}, {"model": "gcn(hidden=8)", "scheme": ["int8", "int4"], "training": {"lr": 0.2}}],
        }
    ).runs
    of_each = [(16, "fp32", 0.1), (8, "int8", 0.2), (8, "int4", 0.2)]
    found = [(run.seed, run.dataset.name, run.model.hidden, run.scheme, run.training.lr) for run in runs]  # pyright: ignore
    assert found[:6] == [(0, dataset, *rest) for dataset in ("cora", "karate") for rest in of_each]
    assert {run.training.epochs for run in runs} == {5}
    assert [run.seed for run in runs] == [0] * 6 + [1] * 6


def names(sweep: Sweep) -> list[tuple[str, str, str]]:
    """The compared pairs: dataset, scheme minus scheme."""
    cells = {cell.group: cell for cell in sweep.cells}
    return [(cells[a].dataset.name, cells[a].scheme, cells[b].scheme) for a, b in sweep.pairs]


def test_a_baseline_is_compared_with_every_other_scheme():
    sweep = expand({**TABLE, "baseline": "fp32"})
    assert names(sweep) == [("cora", "int8", "fp32"), ("karate", "int8", "fp32")]
    assert len(sweep.cells) == 4


def test_named_pairs_come_first_and_once():
    table = {**TABLE, "compare": [{"a": "fp32", "b": "int8"}, {"a": "int8", "b": "fp32"}], "baseline": "fp32"}
    assert names(expand(table)) == [
        (dataset, a, b) for a, b in (("fp32", "int8"), ("int8", "fp32")) for dataset in ("cora", "karate")
    ]


def test_the_nearest_group_is_compared_where_schemes_are_tuned_apart():
    blocks = [
        {"scheme": "fp32", "model": ["gcn", "gcn(hidden=8)"], "training": {"lr": 0.1}},
        {"scheme": "int8", "model": ["gcn", "gcn(hidden=8)"], "training": {"lr": 0.2}},
        {"scheme": "int8", "model": "gcn", "training": {"lr": 0.1}},
        {"scheme": "int4", "model": "gcn(hidden=4)"},
        {"scheme": "int2", "model": "gcn(hidden=4)"},
    ]
    sweep = expand(
        {
            "spec": {"dataset": "cora"},
            "runs": blocks,
            "compare": [{"a": "fp32", "b": "int8"}, {"a": "int4", "b": "int2"}],
        }
    )
    cells = {cell.group: cell for cell in sweep.cells}
    found = [[(cells[group].model.hidden, cells[group].training.lr) for group in pair] for pair in sweep.pairs]  # pyright: ignore
    assert found == [[(16, 0.1), (16, 0.1)], [(8, 0.1), (8, 0.2)], [(4, 0.01), (4, 0.01)]]


def test_published_figures_come_with_their_source():
    (figure,) = expand({**TABLE, "published": [PUBLISHED]}).published
    assert (figure.scheme, figure.value, figure.std, figure.source) == ("fp32", 82.2, None, "SGQuant, Table III")


def test_a_published_figure_may_be_of_a_measured_quantity():
    sweep = expand(
        {**TABLE, "measure": True, "published": [{**PUBLISHED, "metric": "peak_torch", "value": 17_560_000}]}
    )
    assert sweep.measure
    assert (sweep.published[0].metric, sweep.published[0].value) == ("peak_torch", 17.56e6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": 0}, "seeds = 0 is not allowed: name 1 to 10000 seeds, by their number or as a list"),
        ({"seeds": [1, 1]}, "seeds = [1, 1] names a seed twice"),
        (
            {"sede": 1},
            "unknown setting 'sede': did you mean seeds or exclude or spec? "
            "Allowed: name, seeds, folds, epochs, priority, budget, spec, runs, exclude, baseline, compare, published, "
            "conclusion, curves, measure",
        ),
        ({"runs": [{"scheme": []}]}, "spec.scheme is an empty list: name at least one value"),
        (
            {"runs": [{"sceme": "int8"}]},
            "unknown setting 'sceme': did you mean scheme or seed? "
            "Allowed: dataset, task, model, scheme, training, seed, device",
        ),
        (
            {"runs": [{}, {"dataset": "cora"}]},
            "the sweep names a run twice: fp32 on cora, gcn; let each list and each [[runs]] block add runs of its own",
        ),
        ({"runs": [{"seed": 3}]}, "spec.seed is not allowed in a sweep: name the seeds by 'seeds'"),
        ({"baseline": "int4"}, "baseline = 'int4' is no scheme of this sweep; its schemes are: fp32, int8"),
        (
            {"compare": [{"a": "int8", "b": "msfp13"}]},
            "compare.b = 'msfp13' is no scheme of this sweep; its schemes are: fp32, int8",
        ),
        (
            {"compare": [{"a": "int8", "by": "fp32"}]},
            "compare.0.b is missing; unknown setting 'compare.0.by': did you mean compare.0.b or compare.0.a? "
            "Allowed: compare.0.a, compare.0.b",
        ),
        (
            {"compare": [{"a": "int8", "b": "int8"}]},
            "'int8' cannot be compared with 'int8': they never stand on the same dataset and model",
        ),
        (
            {
                "runs": [{"dataset": "cora", "scheme": "fp32"}, {"dataset": "karate", "scheme": "int8"}],
                "baseline": "fp32",
            },
            "'int8' cannot be compared with 'fp32': they never stand on the same dataset and model",
        ),
        (
            {
                "runs": [{"scheme": "fp32", "training": {"lr": [0.1, 0.2]}}, {"scheme": "int8"}],
                "baseline": "fp32",
            },
            "'int8' has 2 groups of 'fp32' to be compared with on cora, gcn: give both schemes the same lists",
        ),
        (
            {"published": [{**PUBLISHED, "provenance": "recalled"}]},
            "published.0.provenance = 'recalled' is not allowed: it should be 'given'",
        ),
        (
            {"runs": [{"priority": 11}]},
            "runs.priority = 11 is not allowed: it is a whole number from 0 (first) to 9 (last)",
        ),
        (
            {"budget": {"hours": 0}},
            "budget.hours = 0 is not allowed: it should be greater than 0",
        ),
        ({"name": "a@b"}, "name = 'a@b' is not allowed: string should match pattern '^[^@,]+$'"),
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


def test_seeds_are_checked_by_themselves():
    with pytest.raises(InputError) as caught:
        expand({**TABLE, "seeds": [0, -1]})
    assert str(caught.value) == "seed = -1 is not allowed: it should be greater than or equal to 0"


def test_seeds_may_be_a_range():
    assert {run.seed for run in expand({**TABLE, "seeds": {"from": 2, "to": 6, "step": 2}}).runs} == {2, 4, 6}


def test_schemes_take_turns_wherever_they_stand_in_the_file():
    table = {
        "seeds": 2,
        "spec": {"scheme": ["fp32", "int8"], "dataset": ["cora", "karate"], "model": "gcn"},
        "runs": [{"training": {"lr": [0.1, 0.2]}}, {"scheme": "int4"}],
    }
    sweep = expand(table)
    found = [(run.seed, run.dataset.name, run.scheme, run.training.lr) for run in sweep.runs]
    turns = [("fp32", 0.1), ("int8", 0.1), ("int4", 0.01), ("fp32", 0.2), ("int8", 0.2)]
    assert found == [(seed, dataset, *turn) for seed in (0, 1) for dataset in ("cora", "karate") for turn in turns]
    assert [cell.scheme for cell in sweep.cells] == ["fp32"] * 4 + ["int8"] * 4 + ["int4"] * 2


def test_folds_come_before_places():
    table = {"folds": 3, "spec": {"dataset": "mutag", "model": ["gcn", "gin"], "scheme": ["fp32", "int8"]}}
    found = [(run.fold, run.model.name, run.scheme) for run in expand(table).runs]
    assert found == [
        (fold, model, scheme) for fold in range(3) for model in ("gcn", "gin") for scheme in ("fp32", "int8")
    ]


def test_a_run_is_the_same_whether_it_is_copied_or_read():
    for run in expand({"seeds": 2, "folds": 3, "spec": {"dataset": "mutag", "model": "gin", "scheme": "int8"}}).runs:
        again = type(run).parse(run.model_dump())
        assert (again, again.hash) == (run, run.hash)


def test_a_sweep_is_the_same_whenever_it_is_read_and_another_with_other_runs():
    assert expand(TABLE).id == expand({**TABLE, "priority": 2, "budget": {"hours": 1}}).id
    assert expand(TABLE).id.startswith("formats@")
    assert expand(TABLE).id != expand(TABLE, seeds=3).id
    assert expand(expand(TABLE, seeds=3, epochs=2, priority=1).table) == expand(TABLE, seeds=3, epochs=2, priority=1)


def test_a_block_may_have_a_priority_of_its_own():
    sweep = expand({**TABLE, "priority": 7, "runs": [{}, {"scheme": "int4", "priority": 1}]})
    assert {(run.scheme, sweep.priority_of(run)) for run in sweep.runs} == {("fp32", 7), ("int8", 7), ("int4", 1)}


def test_a_file_may_be_json(tmp_path: Path):
    (tmp_path / "sweep.json").write_text(json.dumps(TABLE))
    assert read_sweep_file(tmp_path / "sweep.json") == TABLE
    (tmp_path / "broken.json").write_text("[1,")
    with pytest.raises(InputError) as caught:
        read_sweep_file(tmp_path / "broken.json")
    assert str(caught.value) == (
        f"{tmp_path / 'broken.json'} is not valid JSON: Expecting value: line 1 column 4 (char 3)"
    )


def test_settings_open_a_component_that_was_given_as_text():
    data = with_settings({"model": "gcn(hidden=8)"}, {"model.layers": 3, "seed": 4})
    assert data == {"model": {"name": "gcn", "hidden": 8, "layers": 3}, "seed": 4}


def test_a_setting_goes_one_dot_deep():
    with pytest.raises(InputError) as caught:
        with_settings({}, {"training.adam.lr": 1})
    assert str(caught.value) == "unknown setting 'training.adam.lr': at most one dot is allowed, as in training.lr"
