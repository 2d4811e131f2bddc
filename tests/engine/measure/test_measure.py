"""A measuring pass: it can be ended, and fails in one sentence. Whole ones: `bitfront measure`, and the workers'."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import pytest

from engine.errors import InputError, RunError
from engine.events import MeasuredQuantity
from engine.measure import QUANTITIES, measure_run
from engine.settings import Settings
from engine.spec import RunSpec


def karate(scheme: str = "fp32", **training) -> RunSpec:
    spec = {"dataset": "karate", "model": "gcn", "scheme": scheme, "training": training, "device": "cpu"}
    return RunSpec.parse(spec)


def test_a_pass_can_be_ended(settings: Settings):
    def children() -> set[str]:
        return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())

    before, during = children(), set[str]()

    def pulse() -> None:
        during.update(children() - before)
        raise SystemExit

    with pytest.raises(SystemExit):
        measure_run(karate(), epochs=100_000, settings=settings, pulse=pulse)
    assert len(during) == 1
    assert not any(Path(f"/proc/{pid}").exists() for pid in during)


def test_a_run_that_fails_says_why(settings: Settings):
    with pytest.raises(RunError, match=r"^measuring fp32 failed: the val loss is no longer a finite number at epoch"):
        measure_run(karate(lr=1e30), epochs=20, settings=settings)


def test_what_cannot_be_measured_is_refused(settings: Settings):
    with pytest.raises(InputError, match=r"^epochs = 0 is not allowed: measuring needs at least one$"):
        measure_run(karate(), epochs=0, settings=settings)
    with pytest.raises(InputError, match=r"^unknown allocator 'slab': allowed are inherited, tuned, jemalloc$"):
        measure_run(karate(), settings=settings, allocator="slab")  # pyright: ignore[reportArgumentType]


def test_every_quantity_of_a_measurement_is_described():
    assert list(QUANTITIES) == list(get_args(MeasuredQuantity))
