"""Where nobody says otherwise a dataset trains as its papers do (METHODS §10)."""

from __future__ import annotations

import pytest

from engine.datasets import DATASETS
from engine.datasets.entry import default_spec
from engine.models import MODELS
from engine.spec import RunSpec

READY = [name for name, entry in DATASETS.items() if default_spec(entry) is not None]


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("name", READY)
def test_every_dataset_has_a_whole_run_for_each_of_its_tasks(name: str, model: str):
    for task in DATASETS[name].tasks:
        run = RunSpec.parse({"dataset": name, "task": task, "model": model})
        assert RunSpec.from_json(run.to_json()) == run
        assert RunSpec.from_toml(run.to_toml()) == run


def test_ppi_is_the_thesis():
    run = RunSpec.parse({"dataset": "ppi", "model": "gat"})
    gat = run.model.model_dump()
    assert {key: gat[key] for key in ("layers", "hidden", "heads", "output_heads")} == {
        "layers": 3,
        "hidden": 256,
        "heads": 4,
        "output_heads": 6,
    }
    assert (run.training.epochs, run.training.lr) == (100, 0.005)
    assert run.plateau_ratio == 0.95


def test_qm9_is_the_thesis():
    run = RunSpec.parse({"dataset": "qm9(target=7)", "model": "gin"})
    assert (run.training.epochs, run.training.lr) == (300, 0.001)


def test_superpixels_are_degree_quants():
    for model, width in (("gcn", 146), ("gat", 19), ("gin", 110)):
        run = RunSpec.parse({"dataset": "mnist-superpixels", "model": model})
        shape = run.model.model_dump()
        assert (shape["layers"], shape["hidden"], run.training.batch_size) == (4, width, 128)
        assert run.task.model_dump()["folds"] == 0


def test_pcba_reports_average_precision():
    run = RunSpec.parse({"dataset": "pcba", "model": "gin"})
    assert run.task.model_dump()["metric"] == "average-precision"


def test_what_a_person_says_stays():
    run = RunSpec.parse({"dataset": "ppi", "model": "gat(hidden=8)", "training": {"epochs": 3}})
    gat = run.model.model_dump()
    assert (gat["hidden"], gat["heads"], run.training.epochs, run.training.lr) == (8, 4, 3, 0.005)
