"""A dataset's spec from its text."""

from __future__ import annotations

from engine.datasets import DatasetSpec
from engine.spec import RunSpec


def dataset(text: str) -> DatasetSpec:
    return RunSpec.parse({"dataset": text, "model": "gcn"}).dataset
