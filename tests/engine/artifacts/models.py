"""Short runs whose models are saved, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import engine
from engine.artifacts.exported import Exported
from engine.settings import Settings
from engine.spec import RunSpec
from engine.training import RunResult


def train(settings: Settings, scheme: str = "int8", model: str = "gcn", epochs: int = 2, **changes) -> RunResult:
    base = {"dataset": "karate", "model": model, "scheme": scheme, "training": {"epochs": epochs}, "device": "cpu"}
    return engine.run(RunSpec.parse({**base, **changes}), settings)


def saved(result: RunResult, folder: Path, settings: Settings) -> Exported:
    engine.save(result, folder / "model.safetensors")
    return engine.load(folder / "model.safetensors", settings=settings)
