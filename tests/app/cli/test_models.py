"""Where `bitfront run --save` puts models."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from rich.console import Console

import engine
from app.cli.models import copy_model, keep_model, model_files
from engine.artifacts import left_by
from engine.errors import InputError
from engine.settings import Settings
from engine.spec import RunSpec
from engine.training import Training


def specs(seeds: int, **changes) -> list[RunSpec]:
    base = {"dataset": "karate", "model": "gcn", "scheme": "int8", "training": {"epochs": 2}}
    return [RunSpec.parse({**base, **changes, "seed": seed}) for seed in range(seeds)]


def finished() -> Training:
    training = Training(specs(1)[0], Settings())
    for _ in training:
        pass
    return training


def test_one_run_takes_a_file_or_a_folder():
    assert model_files(Path("a/model.safetensors"), specs(1)) == [Path("a/model.safetensors")]
    assert model_files(Path("a"), specs(1)) == [Path("a/seed0.safetensors")]


def test_several_runs_take_a_folder():
    assert model_files(Path("a"), specs(2)) == [Path("a/seed0.safetensors"), Path("a/seed1.safetensors")]
    folds = [
        RunSpec.parse({"dataset": "mutag", "model": "gin", "task": f"graph-classification(folds=10,fold={fold})"})
        for fold in (0, 1)
    ]
    names = ["seed0-fold0.safetensors", "seed0-fold1.safetensors"]
    assert [path.name for path in model_files(Path("a"), folds)] == names


def test_one_file_for_several_runs_is_refused():
    with pytest.raises(InputError) as error:
        model_files(Path("model.safetensors"), specs(3))
    assert str(error.value) == "--save model.safetensors names one file, but 3 runs are trained: name a folder"


def test_another_ending_is_refused():
    with pytest.raises(InputError) as error:
        model_files(Path("model.pt"), specs(1))
    expected = "--save model.pt: a model is saved as a .safetensors file; name it so, or name a folder"
    assert str(error.value) == expected


def test_a_model_is_kept_said_and_copied(tmp_path: Path):
    said = keep_model(finished(), tmp_path / "run", Console())
    assert [(body.name, body.kind) for body in said] == [("model.safetensors", "model"), ("model.json", "manifest")]
    for body in said:
        data = (tmp_path / "run" / body.name).read_bytes()
        assert (body.bytes, body.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    copy_model(tmp_path / "run", tmp_path / "mine" / "best.safetensors")
    assert engine.load(tmp_path / "mine" / "best.safetensors").predict().shape == (34,)


def test_a_copy_takes_no_other_files_place(tmp_path: Path):
    keep_model(finished(), tmp_path / "run" / "1", Console())
    (tmp_path / "mine.json").write_text("{}")
    with pytest.raises(InputError) as error:
        copy_model(tmp_path / "run", tmp_path / "mine.safetensors")
    assert str(error.value) == (
        f"{tmp_path / 'mine.json'} is no model's manifest, and mine.safetensors would overwrite it with its own: "
        "name the model otherwise"
    )
    assert not (tmp_path / "mine.safetensors").exists()


def test_the_newest_attempts_model_is_the_runs(tmp_path: Path):
    assert left_by(tmp_path) == tmp_path / "1" / "model.safetensors"
    (tmp_path / "model.safetensors").write_text("of an earlier version")
    assert left_by(tmp_path) == tmp_path / "model.safetensors"
    for attempt in (2, 10):
        (tmp_path / str(attempt)).mkdir()
        (tmp_path / str(attempt) / "model.safetensors").write_text("")
    (tmp_path / "11").mkdir()
    assert left_by(tmp_path) == tmp_path / "10" / "model.safetensors"


def test_a_full_disk_costs_only_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "run").write_text("in the way")
    assert keep_model(finished(), tmp_path / "run", Console(width=200)) == []
    assert capsys.readouterr().out.startswith("the model is not kept: ")


def test_an_absent_model_is_said(tmp_path: Path):
    with pytest.raises(InputError) as error:
        copy_model(tmp_path / "run", tmp_path / "model.safetensors")
    assert str(error.value) == "there is no model of the run run to save: train it again"
