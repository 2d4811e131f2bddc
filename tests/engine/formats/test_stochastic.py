"""Stochastic rounding: reproducible, unbiased, and leaving codes as they are.

Each statistical assertion is a z-test at |z| < 5: a right implementation fails it once in 1.7 million draws of
the seed, and the seeds are fixed.
"""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import pytest
import torch

from engine.formats import get_format
from engine.randomness import make_key

NAMES = (
    "int8",
    "int4",
    "int4-symmetric",
    "int8-pow2",
    "int4-floor",
    "msfp12",
    "mxfp8_e4m3",
    "mxfp4_e2m1",
    "mxint8",
    "fp16",
    "bf16",
    "log4",
    "apot4",
)
COUNT = 1 << 16


def draw(name: str, x: torch.Tensor, step: int = 0, **settings) -> torch.Tensor:
    return get_format(name).fake_quantize(x, rounding="stochastic", generator=make_key(0, 7, step), **settings)


@pytest.mark.parametrize("name", NAMES)
def test_the_mean_is_the_value(name):
    format = get_format(name)
    # One value COUNT times over, in boxes whose largest value is 1.
    for value in (0.013, 0.3337, 0.71, -0.45):
        x = torch.full((COUNT // 16, 16), value)
        x[:, 0], x[:, 1] = 1.0, -1.0
        out = draw(name, x)[:, 2:].double()
        low = torch.unique(out)
        assert len(low) == 2, low
        assert low[0] <= value <= low[1]
        gap = (low[1] - low[0]).item()
        share = (torch.tensor(value).double() - low[0]).item() / gap
        z = (out.mean() - torch.tensor(value).double()).item() / (gap * (share * (1 - share) / out.numel()) ** 0.5)
        assert abs(z) < 5, (format, value, z)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_key_gives_the_same_bits_and_another_step_others(name):
    x = torch.randn(64, 48, generator=torch.Generator().manual_seed(0))
    assert torch.equal(draw(name, x), draw(name, x))
    assert not torch.equal(draw(name, x, step=0), draw(name, x, step=1))


@pytest.mark.parametrize("name", NAMES)
def test_a_value_that_is_a_code_stays(name):
    format = get_format(name)
    x = torch.randn(64, 48, generator=torch.Generator().manual_seed(0))
    limits = {"range": (x.min().item(), x.max().item())} if format.ranged and format.family != "power-of-two" else {}
    codes = format.fake_quantize(x, rounding="nearest", **limits)
    if format.family in ("affine", "floor-affine", "symmetric", "levels"):
        # Codes stored as float32 lie a rounding error beside the grid: a step of a power of two makes them exact.
        reach = 2.0 ** (format.width - 1) - 1 if format.family == "symmetric" else 1.0
        limits = {"range": (-reach, reach)}
        if format.family in ("affine", "floor-affine"):
            limits = {"range": (0.0, 2.0**format.width - (format.family == "affine"))}
        codes = format.fake_quantize(4 * x, rounding="nearest", **limits)
    assert torch.equal(draw(name, codes, **limits), codes)


def test_draws_of_steps_and_of_neighbours_are_uncorrelated():
    x = torch.full((COUNT,), 0.5)
    limits = {"range": (0.0, 255.0)}
    ups = torch.stack([draw("int8", x, step, **limits) for step in range(8)]).double() * 2 - 1  # −1 or 1
    bound = 5 / COUNT**0.5
    correlations = ups @ ups.t() / COUNT
    assert (correlations - torch.eye(8)).abs().max() < bound
    for lag in (1, 2, 16, 1433):
        assert abs((ups[0, lag:] * ups[0, :-lag]).mean()) < bound * 1.02


def test_two_streams_and_two_seeds_differ():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    outs = [
        get_format("int4").fake_quantize(x, rounding="stochastic", generator=make_key(*key))
        for key in ((0, 0, 0), (1, 0, 0), (0, 1, 0))
    ]
    assert not torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
