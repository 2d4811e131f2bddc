"""Every example of every recipe trains on some architecture, and its ledger agrees with what ran."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from engine.formats import get_format
from engine.models import MODELS
from engine.schemes import RECIPES
from engine.settings import Settings
from engine.spec import RunSpec
from engine.training import run

EXAMPLES = list(dict.fromkeys(example for recipe in RECIPES.values() for example in recipe.examples))
MORE = [
    "qat-int8(range=entropy)",
    "qat-int8(range=mse,estimator=clipped)",
    "qat-int4(granularity=row)",
    "int8(message_gradient=true)",
    "dq-msfp13(mask=forward)",
    "qat-mxfp8_e4m3+dq",
]


@pytest.mark.parametrize("scheme", EXAMPLES + MORE)
def test_it_trains(scheme: str, settings: Settings):
    """On one of the architectures that have its sites and layers, the next one for each next example."""
    start = (EXAMPLES + MORE).index(scheme)
    names = list(MODELS)
    for offset in range(len(names)):
        data = {"dataset": "karate", "model": names[(start + offset) % len(names)], "training": {"epochs": 2}}
        try:
            spec = RunSpec.parse({**data, "scheme": scheme})
        except InputError:
            continue
        break
    else:
        raise AssertionError(f"no architecture takes {scheme}")
    result = run(spec, settings)
    assert str(spec.parsed_scheme) == spec.scheme
    assert result.summary.test_at_best_val is not None
    assert math.isfinite(result.summary.test_at_best_val)
    for found in result.summary.densities:
        assert found.memory == pytest.approx(32 / found.average_bits)
    # Without the ranges and steps of a row, which on a graph of 34 nodes can outweigh its elements.
    rows = [(get_format(row.format).bits, row.elements) for row in result.ledger if row.format != "fp32"]
    if spec.parsed_scheme.rules:
        assert 1 <= sum(bits * count for bits, count in rows) / sum(count for _, count in rows) < 32
