"""A search never sees the test: other labels there change nothing before the final report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import engine
from engine.datasets.known_size import known_size
from engine.search.course import Outcome, Search, Trial
from engine.search.file import read_search
from engine.settings import Settings
from engine.spec import RunSpec
from engine.starting import keep_start
from tests.engine.own_data.files import NODES, arrays, write_arrays


def searched(path: Path, settings: Settings) -> tuple[list[Trial], dict[int, float | None], list[float | None], Any]:
    """A whole search in this process: its trials, what it was told, and the test metrics that it was not."""
    table = {
        "epsilon": 40.0,
        "n_mea": 3,
        "n_sample": 30,
        "n_iter": 1,
        "epochs": 2,
        "finalists": 1,
        "final_seeds": 1,
        "confirm": 2,
        "spec": {
            "dataset": {"name": "file", "path": str(path)},
            "model": "gcn(hidden=4)",
            "training": {"epochs": 5},
        },
        "space": {"granularity": "lwq", "bits": [2, 4, 8]},
    }
    search = Search(read_search(table), lambda: known_size(search.spec.dataset, settings))
    told: dict[int, float | None] = {}
    tests: list[float | None] = []
    while search.result is None:
        for trial in search.ask():
            result = engine.run(trial.spec, settings)
            saved = engine.save(result, settings.home / f"{trial.number}.safetensors")
            content = keep_start(saved.model, settings) if trial.point is None else ""
            told[trial.number] = result.summary.val_best
            tests.append(result.summary.test_at_best_val)
            search.tell(trial.number, Outcome(result.summary.val_best, content))
    return search.trials, told, tests, search.result


def test_other_test_labels_change_nothing_before_the_final_report(tmp_path: Path):
    settings = Settings(home=tmp_path / "home")
    plain = write_arrays(tmp_path / "plain.npz")
    found = arrays()
    swapped = np.where(found["test_mask"], 1 - found["y"], found["y"])
    assert (swapped != found["y"]).sum() == found["test_mask"].sum() > 0
    other = write_arrays(tmp_path / "other.npz", y=swapped)

    first, second = searched(plain, settings), searched(other, settings)
    assert len(first[0]) > NODES // 2
    assert first[2] != second[2]  # the test did change
    assert first[1] == second[1]
    assert [_without_data(trial) for trial in first[0]] == [_without_data(trial) for trial in second[0]]
    a, b = (replace(result, model_seconds=None) for result in (first[3], second[3]))
    assert a == b
    assert a.scheme


def _without_data(trial: Trial) -> tuple[Any, ...]:
    """All that a trial is but the path of its data: also the model that it starts from."""
    spec: RunSpec = trial.spec
    return replace(trial, spec=None), spec.scheme, spec.training, spec.seed, spec.model  # pyright: ignore[reportArgumentType]
