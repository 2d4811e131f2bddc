"""A launch says the same in every language."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from app.cli.run import parse_seeds
from app.cli.settings_option import parse_settings
from app.launching.elsewhere import command_lines, python_text, toml_text
from app.launching.plan import Checked, check_plan
from app.launching.presets import presets
from engine.spec import RunSpec, read_toml
from engine.sweep import expand, with_settings
from tests.app.launching.test_plan import plan

GRID = {"datasets": ({"name": "karate"}, {"name": "cora"}), "models": ({"name": "gcn"}, {"name": "gat", "heads": 4})}
CHOICES: list[dict[str, Any]] = [
    {},
    {"seeds": (4, 7), "rest": {}},
    {"seeds": (7,)},
    GRID,
    {"datasets": ({"name": "proteins"},), "task": {"name": "graph-classification"}, "folds": 10},
    {"task": {"name": "link-prediction"}, "rest": {"training": {"lr": 0.003}}},
]


def hashes(launch: Checked) -> list[str]:
    return sorted(run.hash for run in expand(launch.table).runs)


@pytest.mark.parametrize("changes", CHOICES)
def test_the_sweep_file_names_the_same_runs(changes: dict[str, Any]) -> None:
    launch = check_plan(plan(**changes))
    text = toml_text(launch.table)
    assert expand(read_toml(text, "the sweep")).id == expand(launch.table).id


@pytest.mark.parametrize("changes", CHOICES)
def test_the_command_lines_name_the_same_runs(changes: dict[str, Any]) -> None:
    launch = check_plan(plan(**changes))
    found = []
    for line in command_lines(launch).splitlines():
        words = shlex.split(line)
        assert words[:2] == ["bitfront", "run"]
        options = list(zip(words[2::2], words[3::2], strict=True))
        given = dict(options)
        settings = parse_settings([value for name, value in options if name == "--set"])
        settings |= {"training.epochs": int(given["--epochs"])} if "--epochs" in given else {}
        data = {name: given[f"--{name}"] for name in ("dataset", "task", "model", "scheme") if f"--{name}" in given}
        if "--folds" in given:
            data |= {"task": "graph-classification"}
        folds = [{"task.folds": int(given["--folds"]), "task.fold": n} for n in range(int(given.get("--folds", 0)))]
        for seed in parse_seeds(given["--seeds"]):
            for fold in folds or [{}]:
                found.append(RunSpec.parse({**with_settings(data, settings | fold), "seed": seed}))
    assert sorted(spec.hash for spec in found) == hashes(launch)


@pytest.mark.parametrize("changes", CHOICES)
def test_the_python_text_runs_the_same_specs(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    import engine

    found: list[RunSpec] = []
    monkeypatch.setattr(engine, "run", found.append, raising=False)
    launch = check_plan(plan(**changes))
    exec(python_text(launch), {"print": lambda *_: None})
    assert sorted(spec.hash for spec in found) == hashes(launch)


def test_defaults_are_left_out() -> None:
    short = plan(datasets=({"name": "cora"},), models=({"name": "gcn"},), schemes=("int8",), rest={})
    assert command_lines(check_plan(short)) == "bitfront run --dataset cora --model gcn --scheme int8 --seeds 2"


def test_many_groups_are_launched_by_their_file() -> None:
    many = plan(schemes=tuple(f"int{bits}" for bits in range(2, 17)), name="my widths")
    assert command_lines(check_plan(many)) == (
        "# save the sweep file as my-widths.toml, then\nbitfront sweep my-widths.toml --wait"
    )


def test_whatever_a_sweeps_file_may_hold_is_written_back() -> None:
    table = {
        "name": 'a "name"',
        "seeds": {"from": 0, "to": 4, "step": 2},
        "budget": {"hours": 2.5},
        "spec": {
            "dataset": "karate",
            "scheme": ["fp32", {"text": "int{bits}", "bits": {"from": 4, "to": 8, "step": 2}}],
            "training": {"lr": [0.01, 1e-05]},
        },
        "runs": [{"model": "gcn", "training": {"epochs": 20}}, {"model": {"name": "gat", "heads": [4, 8]}}],
        "exclude": [{"model": "gat", "scheme": ["int6", "int8"]}],
        "compare": [{"a": "int4", "b": "fp32"}],
    }
    assert read_toml(toml_text(table), "it") == table
    for name, preset in presets().items():
        assert read_toml(toml_text(preset.sweep), name) == preset.sweep
