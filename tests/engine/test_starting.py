"""Runs that start from a trained model: found by its content, it takes the place of fresh parameters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import engine
from engine.errors import InputError, RunError
from engine.settings import Settings
from engine.spec import RunSpec
from engine.starting import keep_start, start_file

STILL = 1e-30
"""A learning rate with which nothing is learned."""


def spec(scheme: str = "fp32", model: str = "gcn", **training: Any) -> RunSpec:
    table = {"dataset": "karate", "model": model, "scheme": scheme, "training": {"epochs": 20, **training}}
    return RunSpec.parse(table)


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


@pytest.fixture
def content(home: Settings) -> str:
    """A trained model's, kept in the home."""
    saved = engine.save(engine.run(spec(), home), home.home / "trained.safetensors")
    found = keep_start(saved.model, home)
    assert found == saved.content
    return found


def test_a_run_begins_where_the_model_that_it_starts_from_ended(home: Settings, content: str):
    trained = engine.run(spec(), home)
    again = engine.run(spec(epochs=1, lr=STILL, start_from=content), home)
    assert again.summary.val_best == trained.summary.val_best
    assert again.summary.test_at_best_val == trained.summary.test_at_best_val
    fresh = engine.run(spec(epochs=1, lr=STILL), home)
    assert fresh.history.columns["val_loss"] != again.history.columns["val_loss"]


def test_what_only_prepares_is_left_out_and_what_learns_lasts_for_the_specs_epochs(home: Settings, content: str):
    found = spec("sgquant(bits=4,tune=7)", epochs=3, start_from=content)
    assert [(phase.name, phase.epochs, phase.quantized) for phase in found.phases] == [("fine-tune", 3, True)]
    result = engine.run(found, home)
    assert result.summary.epochs == 3
    calibrated = spec("ptq-int8", epochs=3, start_from=content)
    assert [(phase.name, phase.epochs) for phase in calibrated.phases] == [("calibrate", 1)]
    assert engine.run(calibrated, home).summary.epochs == 1


def test_the_same_parameters_have_the_same_content_whatever_else_is_said_of_them(home: Settings, content: str):
    manifest = json.loads(start_file(content, home).with_suffix(".json").read_text())
    assert manifest["packed_sha256"] == content


def test_a_spec_that_starts_from_the_beginning_says_nothing_of_it():
    assert "start_from" not in spec().to_json()
    other = spec(start_from="ab" * 32)
    assert RunSpec.from_json(other.to_json()) == RunSpec.from_toml(other.to_toml()) == other
    assert other.group != spec().group


def test_a_model_that_is_not_here_is_asked_for_by_its_content(home: Settings):
    with pytest.raises(RunError) as failure:
        engine.run(spec(start_from="ab" * 32), home)
    assert str(failure.value) == (
        f"the model that training.start_from names (abababababab…) is not in {home.models}: train it here first, or "
        f"put its model.safetensors there as {'ab' * 32}.safetensors with its manifest beside it"
    )


def test_a_model_of_other_parameters_is_refused(home: Settings, content: str):
    with pytest.raises(RunError) as failure:
        engine.run(spec(model="gcn(hidden=8)", start_from=content), home)
    assert str(failure.value) == (
        f"the run cannot start from the model {content[:12]}…, a gcn for karate: its parameter layers.0.bias is [16], "
        "and this run's is [8]"
    )


def test_a_file_under_another_models_name_is_refused(home: Settings, content: str):
    path, other = start_file(content, home), start_file("cd" * 32, home)
    path.rename(other)
    path.with_suffix(".json").rename(other.with_suffix(".json"))
    with pytest.raises(RunError) as failure:
        engine.run(spec(start_from="cd" * 32), home)
    assert str(failure.value) == f"{other} is not the model that training.start_from names: remove it"


def test_only_a_saved_model_can_be_kept(home: Settings, tmp_path: Path):
    with pytest.raises(InputError, match="there is no file"):
        keep_start(tmp_path / "nothing.safetensors", home)
