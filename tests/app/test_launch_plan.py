"""The plan of a launch, and that it says the same in every language."""

from __future__ import annotations

import shlex

import pytest

from app.cli.run import parse_seeds as command_line_seeds
from app.launch_plan import LaunchPlan, command_lines, parse_seeds, python_text, split_schemes, sweep_toml
from engine.errors import InputError
from engine.spec import RunSpec, read_toml
from engine.sweep import expand


def plan(**changes) -> LaunchPlan:
    choices = {
        "dataset": {"name": "sbm", "nodes": 500},
        "model": {"name": "gcn", "hidden": 32},
        "schemes": ("fp32", "int4:weight"),
        "seeds": (0, 1),
        "training": {"epochs": 20, "lr": 0.01, "weight_decay": 0.001},
        "device": "cpu",
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


def test_runs_go_seed_by_seed() -> None:
    assert [(spec.scheme, spec.seed) for spec in plan().specs()] == [
        ("fp32", 0),
        ("int4:weight", 0),
        ("fp32", 1),
        ("int4:weight", 1),
    ]


def test_the_sweep_file_names_the_same_runs_in_the_same_order() -> None:
    for seeds in ((0, 1), (4, 7), (7,)):
        text = sweep_toml(plan(seeds=seeds), "mine", priority=2)
        sweep = expand(read_toml(text, "the sweep"))
        assert list(sweep.runs) == plan(seeds=seeds).specs()
        assert (sweep.name, sweep.priority) == ("mine", 2)


def test_the_command_lines_name_the_same_runs() -> None:
    from app.cli.settings_option import parse_settings
    from engine.sweep import with_settings

    found = []
    for line in command_lines(plan()).splitlines():
        words = shlex.split(line)
        assert words[:2] == ["bitfront", "run"]
        options = list(zip(words[2::2], words[3::2], strict=True))
        given = dict(options)
        settings = parse_settings([value for name, value in options if name == "--set"])
        settings["training.epochs"] = int(given["--epochs"])
        data = {name: given[f"--{name}"] for name in ("dataset", "model", "scheme")}
        for seed in command_line_seeds(given["--seeds"]):
            found.append(RunSpec.parse({**with_settings(data, settings), "seed": seed}))
    assert sorted(spec.hash for spec in found) == sorted(spec.hash for spec in plan().specs())


def test_the_python_text_runs_the_same_specs(monkeypatch: pytest.MonkeyPatch) -> None:
    import engine

    found: list[RunSpec] = []
    monkeypatch.setattr(engine, "run", found.append, raising=False)
    exec(python_text(plan()), {"print": lambda *_: None})
    assert sorted(spec.hash for spec in found) == sorted(spec.hash for spec in plan().specs())


def test_defaults_are_left_out() -> None:
    short = plan(dataset={"name": "cora"}, model={"name": "gcn"}, schemes=("int8",), training={}, device="auto")
    assert command_lines(short) == "bitfront run --dataset cora --model gcn --scheme int8 --seeds 2"


def test_every_fault_is_named_once() -> None:
    assert plan(training={"epochs": 0}).faults() == [
        "training.epochs = 0 is not allowed: it should be greater than or equal to 1"
    ]
    assert plan(schemes=("int8", "int4:attention")).faults() == [
        "the scheme 'int4:attention' does not quantize the site 'attention'; "
        "its sites are: input, weight, feature, aggregate, gradient"
    ]
    assert plan(schemes=()).faults() == ["no scheme is chosen: pick at least one, or write one"]


def test_too_many_runs_are_refused() -> None:
    many = plan(schemes=("fp32", "int8"), seeds=tuple(range(6000)))
    assert many.faults() == ["12000 runs are too many for one launch: at most 10000"]


def test_a_seed_out_of_range_is_a_fault() -> None:
    (fault,) = plan(schemes=("fp32",), seeds=(0, 2**31)).faults()
    assert fault.startswith("seed = 2147483648 is not allowed")
