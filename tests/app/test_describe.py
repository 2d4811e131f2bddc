"""Specs in short words."""

from __future__ import annotations

import pytest

from app.describe import component_text, spec_texts, training_text
from engine.datasets import DATASETS
from engine.spec import RunSpec


def spec(**changes) -> str:
    return RunSpec.parse({"dataset": "karate", "model": "gcn"} | changes).to_json()


def test_defaults_are_not_mentioned() -> None:
    assert spec_texts(spec()) == ("karate", "gcn", "")


def test_what_differs_is_mentioned() -> None:
    text = spec(dataset="sbm(nodes=500)", model="gcn(hidden=32,bias=false)", training={"lr": 0.05}, device="cpu")
    assert spec_texts(text) == ("sbm(nodes=500)", "gcn(bias=false,hidden=32)", "lr=0.05, device=cpu")


@pytest.mark.parametrize("name", list(DATASETS))
def test_a_component_reads_back_to_itself(name: str) -> None:
    part = DATASETS[name].spec.model_validate({"name": name})
    assert component_text(part.model_dump(), DATASETS) == name
    assert RunSpec.parse({"dataset": component_text(part.model_dump(), DATASETS), "model": "gcn"}).dataset == part


def test_a_component_that_is_not_installed_is_shown_whole() -> None:
    assert component_text({"name": "moon", "craters": 3}, DATASETS) == "moon(craters=3)"


def test_training_settings_are_named() -> None:
    assert training_text({"epochs": 20, "lr": 0.01, "weight_decay": 0.0}) == "epochs=20, weight_decay=0.0"
