"""The plan of a launch: a grid as a sweep's table, tried before it is launched."""

from __future__ import annotations

from typing import Any

import pytest

from app.launching.plan import LaunchPlan, check_plan, check_table, parse_seeds, seeds_text, split_schemes
from engine.errors import InputError
from engine.sweep import expand


def plan(**changes: Any) -> LaunchPlan:
    choices: dict[str, Any] = {
        "datasets": ({"name": "sbm", "nodes": 500},),
        "models": ({"name": "gcn", "hidden": 32},),
        "schemes": ("fp32", "int4:weight"),
        "seeds": (0, 1),
        "rest": {"training": {"epochs": 20, "weight_decay": 0.001}, "device": "cpu"},
    }
    return LaunchPlan(**(choices | changes))


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (0, 1, 2)), (" 1 ", (0,)), ("0, 4,7", (0, 4, 7)), ("7,", (7,)), ("4,4,1", (4, 1))]
)
def test_seeds_are_a_count_or_a_list(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "x", "1,x", "-1", "1.5", ",", "1 2", "٣"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_seeds(text)
    assert str(refused.value) == (
        f"seeds = {text!r} is not allowed: give a count, such as 3, or a list of whole numbers, such as 0, 4, 7"
    )


@pytest.mark.parametrize("text", ["1" * 5000, "0" * 5000])
def test_seeds_of_thousands_of_digits_are_refused(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_seeds(text)
    assert str(refused.value) == (
        f"seeds = {text[:60]!r} is not allowed: give a count, such as 3, or a list of whole numbers, such as 0, 4, 7"
    )


@pytest.mark.parametrize("text", ["0", "10001"])
def test_a_count_of_seeds_has_bounds(text: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_seeds(text)
    assert str(refused.value) == f"seeds = {text} is not allowed: a count goes from 1 to 10000"


def test_schemes_are_set_apart_by_semicolons() -> None:
    assert split_schemes(" int4:weight,input ;; sdq[int4,int8] ") == ["int4:weight,input", "sdq[int4,int8]"]


@pytest.mark.parametrize("seeds", [(0, 1, 2), (0, 4), (7,), (3, 1)])
def test_seeds_as_text_are_read_back(seeds: tuple[int, ...]) -> None:
    assert parse_seeds(seeds_text(seeds)) == seeds


def test_the_table_says_no_more_than_was_told() -> None:
    assert plan().table == {
        "name": "sbm-gcn",
        "seeds": 2,
        "spec": {
            "dataset": "sbm(nodes=500)",
            "model": "gcn(hidden=32)",
            "scheme": ["fp32", "int4:weight"],
            "training": {"epochs": 20, "weight_decay": 0.001},
            "device": "cpu",
        },
    }


def test_a_grid_is_every_dataset_with_every_architecture_scheme_seed_and_fold() -> None:
    wide = plan(
        datasets=({"name": "karate"}, {"name": "cora"}),
        models=({"name": "gcn"}, {"name": "gat"}),
        options={"priority": 2, "budget": {"hours": 1.5}, "measure": True},
        name="mine",
    )
    checked = check_plan(wide)
    sweep = expand(checked.table)
    assert (checked.runs, len(sweep.runs), checked.faults) == (16, 16, ())
    assert list(checked.cells) == list(sweep.cells)
    assert (sweep.name, sweep.priority, sweep.budget.hours, sweep.measure) == ("mine", 2, 1.5, True)
    folded = check_plan(plan(datasets=({"name": "proteins"},), task={"name": "graph-classification"}, folds=10))
    assert folded.runs == len(expand(folded.table).runs) == 40


def test_datasets_of_different_tasks_are_each_trained_for_their_first() -> None:
    checked = check_plan(plan(datasets=({"name": "karate"}, {"name": "mutag"}), models=({"name": "gcn"},), rest={}))
    assert "task" not in checked.table["spec"]
    assert {spec.dataset.name: (spec.task.name, spec.training.epochs) for spec in checked.cells} == {
        "karate": ("node-classification", 150),
        "mutag": ("graph-classification", 250),
    }


def test_the_task_is_told_where_it_is_not_the_usual_one() -> None:
    assert plan(task={"name": "node-classification"}).table["spec"].get("task") is None
    assert plan(task={"name": "link-prediction"}).table["spec"]["task"] == "link-prediction"


def test_every_fault_is_named_once() -> None:
    assert check_plan(plan(rest={"training": {"epochs": 0}})).faults == (
        "training.epochs = 0 is not allowed: it should be greater than or equal to 1",
    )
    assert check_plan(plan(schemes=("int8", "int4:attention"))).faults == (
        "the scheme 'int4:attention' does not quantize the site 'attention'; "
        "its sites are: input, weight, feature, aggregate, gradient",
    )
    assert check_plan(plan(schemes=(), datasets=())).faults == (
        "no dataset is chosen: pick at least one",
        "no scheme is chosen: pick at least one, or write one",
    )


def test_a_sweeps_own_settings_are_checked_too() -> None:
    (fault,) = check_plan(plan(name="mine@home")).faults
    assert fault == "name = 'mine@home' is not allowed: string should match pattern '^[^@,]+$'"
    (fault,) = check_plan(plan(options={"budget": {"hours": 0.0}})).faults
    assert fault == "budget.hours = 0.0 is not allowed: it should be greater than 0"


def test_combinations_that_cannot_be_run_can_be_left_out() -> None:
    mixed = {"models": ({"name": "gcn"}, {"name": "gat"}), "schemes": ("int8", "cwq(att=2,emb=8)", "lwq[8,4,2]")}
    wrong = check_plan(plan(**mixed))
    assert (wrong.unfit, len(wrong.cells), len(wrong.faults)) == (3, 3, 3)
    fitting = check_plan(plan(**mixed, leave_out=True))
    assert (fitting.runs, fitting.faults, fitting.unfit) == (6, (), 3)
    assert list(expand(fitting.table).cells) == list(fitting.cells) == list(wrong.cells)


def test_many_faults_are_told_shortly() -> None:
    schemes = tuple(f"lwq[{','.join(['8'] * n)}]" for n in range(3, 12))
    checked = check_plan(plan(schemes=("int8", *schemes)))
    assert len(checked.faults) == 7
    assert checked.faults[-1] == "3 more faults of this kind"


def test_too_many_runs_are_refused() -> None:
    many = plan(schemes=("fp32", "int8"), seeds=tuple(range(6000)))
    assert check_plan(many).faults == ("12000 runs are too many for one launch: at most 10000",)
    assert check_table(many.table).faults == ("12000 runs are too many for one launch: at most 10000",)


def test_a_seed_out_of_range_is_a_fault() -> None:
    (fault,) = check_plan(plan(schemes=("fp32",), seeds=(0, 2**31))).faults
    assert fault.startswith("seed = 2147483648 is not allowed")


def test_a_sweeps_file_is_checked_by_its_own_expansion() -> None:
    table = {
        "name": "blocks",
        "seeds": [3, 5],
        "spec": {"dataset": "karate", "scheme": ["fp32", "int8"]},
        "runs": [{"model": "gcn"}, {"model": "gat", "scheme": "fp32"}],
    }
    checked = check_table(table)
    assert (checked.runs, len(checked.cells), checked.seeds, checked.folds) == (6, 3, (3, 5), 1)
    assert check_table({"spec": {"dataset": "karate"}}).faults == ("model is missing",)
    path = {"spec": {"dataset": {"name": "file", "path": "/tmp/mine"}, "model": "gcn"}}
    assert len(check_table(path).faults) == 1
