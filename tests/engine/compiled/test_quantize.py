"""What compiled code quantizes has the bits of engine.formats."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.compiled import tables
from engine.compiled.plan import describe
from engine.compiled.quantize import draw_key, extremes, quantize
from engine.formats import get_format
from engine.randomness import make_key, stream_id

FORMATS = ("int8", "int4", "int1", "int16", "int8-symmetric", "int4-symmetric", "msfp13", "msfp11(box=8)", "mxint8")
STREAM = stream_id("rounding/0/gradient")


def compiled(name: str, x: torch.Tensor, axis: int, *, stochastic: bool, draw: int) -> torch.Tensor | None:
    """x̂ of [rows, columns]; None where compiled code leaves it to the plain path."""
    whole = np.zeros((1, tables.QUANTIZER_INTEGERS), np.int64)
    real = np.zeros((1, tables.QUANTIZER_REALS))
    describe(get_format(name), whole[0], real[0])
    whole[0, [tables.STOCHASTIC, tables.STREAM]] = stochastic, STREAM
    draws, out = np.array([draw]), torch.empty_like(x)
    fits = quantize(x.numpy(), out.numpy(), np.int64(axis), np.int64(0), whole, real, draws, 7)
    assert draws[0] == draw + stochastic
    return out if fits else None


@settings(max_examples=60)
@given(
    name=st.sampled_from(FORMATS),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    axis=st.sampled_from([0, 1]),
    stochastic=st.booleans(),
    draw=st.integers(0, 1000),
    reach=st.sampled_from([1.0, 1e-30, 1e30, 0.37, 0.0]),
    positive=st.booleans(),
)
def test_the_bits_are_those_of_the_formats(name, shape, axis, stochastic, draw, reach, positive):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(draw)) * reach
    x = torch.relu(x) if positive else x
    rounding = "stochastic" if stochastic else "nearest"
    wanted = get_format(name).fake_quantize(x, axis, rounding=rounding, generator=make_key(7, STREAM, draw))
    found = compiled(name, x, axis, stochastic=stochastic, draw=draw)
    assert found is not None
    # By value: which of the two zeros it is makes no difference to any sum.
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_left_to_the_plain_path(name: str, bad: float):
    x = torch.ones(5, 7)
    x[3, 2] = bad
    assert [compiled(name, x, axis, stochastic=False, draw=0) for axis in (0, 1)] == [None, None]


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_keys_are_those_of_the_hashed_streams(seed: int, stream: int, step: int):
    key = make_key(seed, stream, step)
    assert tuple(map(int, draw_key(seed, stream, step))) == (key.first, key.second)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_extremes(values: list[float]):
    assert extremes(np.array(values, np.float32)) == (min(values), max(values), True)
