"""The float32 kernels give float64's bits: at ties, a unit in the last place beside them, and far from 1."""

# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.formats import get_format
from engine.kernels.grid_narrow import is_exact, narrow_settings
from engine.randomness import make_key

KEY = make_key(3, 1, 4)


def equal_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a.view(torch.int32), b.view(torch.int32))


def check(name: str, x: torch.Tensor, **settings) -> None:
    format = get_format(name)
    for rounding in ("nearest", "stochastic"):
        found = format.fake_quantize(x, rounding=rounding, generator=KEY, **settings)
        # float64 takes the plain form.
        wide = format.fake_quantize(x.double(), rounding=rounding, generator=KEY, **settings)
        assert equal_bits(found, wide.clamp(-3.4028234663852886e38, 3.4028234663852886e38).float())


@pytest.mark.parametrize("name", ["int8", "int5", "int2", "int1", "int8-symmetric", "int4-symmetric", "int8-pow2"])
@pytest.mark.parametrize("reach", [1.0, 0.3, 127.0, 1e-20, 1e20, 1e-38, 3e38])
def test_integers_at_and_beside_ties(name, reach):
    low, high = -0.37 * reach, reach
    c = float(get_format(name).make_grid(low, high).c)
    tie = torch.tensor((np.arange(-300, 300) + 0.5) * c).clamp(-3e38, 3e38).float()
    beside = [torch.nextafter(tie, torch.full_like(tie, end)) for end in (-torch.inf, torch.inf)]
    codes = torch.tensor(np.arange(-300, 300) * c).clamp(-3e38, 3e38).float()
    check(name, torch.cat([tie, *beside, codes, torch.tensor([0.0, -0.0, 1e-45, -1e-45])]), range=(low, high))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("name", ["int8", "int6", "int3-symmetric"])
def test_integers_of_many_ranges(name, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(60_000, generator=generator) * 10 ** (torch.rand((), generator=generator) * 8 - 4)
    check(name, x)
    check(name, torch.relu(x))


def test_a_step_whose_products_float32_cannot_hold_is_left_to_float64():
    found = {
        bool(is_exact(settings[1], settings[2], c, settings[3], settings[4]))
        for c in np.linspace(0.01, 0.011, 3000).tolist()
        if (settings := narrow_settings(0.0, 0.0, c, -128.0, 127.0)) is not None
    }
    assert found == {True, False}
    # Whichever way it goes, the bits are float64's.
    for c in np.linspace(0.01, 0.011, 50).tolist():
        check("int8", torch.linspace(-1, 1, 999), range=(-128 * c, 127 * c))


@pytest.mark.parametrize(
    ("m", "d", "c", "first", "last"),
    [
        (1.0, 0.0, 0.1, -128.0, 127.0),
        (0.0, 0.5, 0.1, -128.0, 127.0),
        (0.0, 0.0, 1e-35, -128.0, 127.0),
        (0.0, 0.0, 1e35, -128.0, 127.0),
        (0.0, 0.0, 0.1, -256.0, 255.0),
        (0.0, 400.0, 0.1, -128.0, 127.0),
    ],
)
def test_other_grids_are_left_to_float64(m, d, c, first, last):
    assert narrow_settings(m, d, c, first, last) is None


@pytest.mark.parametrize(
    "name", ["msfp10", "msfp13", "msfp19", "msfp13(box=8)", "mxint8", "mxfp4_e2m1", "mxfp8_e4m3", "mxfp8_e5m2"]
)
@pytest.mark.parametrize("power", [-149, -140, -127, -126, -110, -20, 0, 60, 110, 120])
def test_boxes_of_any_magnitude(name, power):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 200, generator=generator).double()
    x[::3] *= torch.exp2(torch.randint(-40, 1, (17, 200), generator=generator))
    x[5], x[6, :100], x[:, 7] = 0.0, -0.0, 0.5
    x = (x * 2.0**power).clamp(-3.4e38, 3.4e38).float()
    check(name, x)
    check(name, x.view(-1)[: 16 * 600])
    check(name, torch.round(x * 2.0**-power * 8) * 2.0 ** (power - 4) if power > -120 else x)
