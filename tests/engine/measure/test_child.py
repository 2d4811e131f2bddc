"""The parts of a pass, in this process."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.measure.child import measure_allocated, measure_training
from engine.settings import Settings
from engine.spec import RunSpec


@pytest.fixture
def here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("BITFRONT_HOME", str(settings.home))
    return settings


def karate(scheme: str, **training) -> RunSpec:
    return RunSpec.parse({"dataset": "karate", "model": "gcn", "scheme": scheme, "training": training, "device": "cpu"})


def test_allocated_peak_counts_the_model_and_dense_features(here: Settings, tmp_path: Path):
    found = measure_allocated(karate("fp32", epochs=3), tmp_path)
    parameters, features = 4 * (34 * 16 + 16 + 16 * 4 + 4), 4 * 34 * 34
    # Adam's two moments and the gradients stay beside the parameters; one hidden activation lives at least.
    assert 4 * parameters + features + 4 * 34 * 16 < found["peak_torch"] < 4 * parameters + features + 40_000
    assert found["held_for_backward"] == 4352


def test_a_phase_that_learns_is_looked_into_where_the_last_one_does_not(here: Settings, tmp_path: Path):
    assert measure_allocated(karate("ptq-int8", epochs=2), tmp_path)["held_for_backward"] == 4352


def test_a_run_is_timed_and_exported(here: Settings, tmp_path: Path):
    found = measure_training(karate("int8", epochs=3), tmp_path)
    assert found["peak_process"] > 50e6
    assert 0 < found["latency_median"] <= found["latency_p95"] < found["epoch_seconds"] * 100
    weights = 34 * 16 + 16 * 4
    assert weights < found["file_size"] == (tmp_path / "model.safetensors").stat().st_size
