"""Properties that hold for every value: idempotence, error, order, symmetry, zero."""

from __future__ import annotations

import hypothesis
import pytest
import torch
from hypothesis import strategies as st

from engine.formats import get_format
from engine.formats.block import BlockFormat
from engine.formats.floor_affine import FloorAffine
from engine.formats.grid import GridFormat
from engine.kernels.blocks import box_scales

VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
TENSORS = st.lists(VALUES, min_size=1, max_size=40).map(torch.tensor)
BOXES = st.lists(VALUES, min_size=1, max_size=16).map(torch.tensor)
LARGEST = torch.finfo(torch.float32).max
FEW = hypothesis.settings(max_examples=30)
NAMES = (
    "int1 binary int2 int3 int4 int8 int12 int16 int4(exact_zero=false) int2-symmetric int4-symmetric int8-symmetric "
    "int16-symmetric int2-pow2 int4-pow2 int8-pow2 int14-pow2 int16-pow2 int1-floor int2-floor int4-floor int8-floor "
    "int16-floor log2 log4 log6 apot4 apot5 msfp10 msfp11 msfp13 msfp16 msfp19 msfp12(box=8) mxfp4_e2m1 mxfp6_e2m3 "
    "mxfp6_e3m2 mxfp8_e4m3 mxfp8_e5m2 mxint8 fp16 bf16"
)
"""Of the integers, the narrowest, the widest and some between."""
FORMATS = [get_format(name) for name in NAMES.split()]
NEAREST = [format for format in FORMATS if format.rounding == "nearest"]
GRIDS = [format for format in FORMATS if isinstance(format, GridFormat)]
FLOORS = [format for format in FORMATS if isinstance(format, FloorAffine)]
BLOCKS = [format for format in FORMATS if isinstance(format, BlockFormat)]
SYMMETRIC = [
    format for format in FORMATS if format.family in ("symmetric", "power-of-two", "levels", "msfp", "mx", "float")
]
WITH_ZERO = [format for format in FORMATS if format.family != "floor-affine" and getattr(format, "exact_zero", True)]


def own_range(format, x):
    return {"range": (x.min().item(), x.max().item())} if format.ranged else {}


def slack(x: torch.Tensor) -> torch.Tensor:
    """What storing the result as float32 may cost: half a unit in the last place."""
    return (x.abs() * 2.0**-24).clamp(min=2.0**-150)


@pytest.mark.parametrize("format", NEAREST, ids=str)
@hypothesis.given(x=TENSORS)
@FEW
def test_a_second_pass_changes_nothing(format, x):
    once = format.fake_quantize(x)
    assert torch.equal(format.fake_quantize(once, **own_range(format, x)), once)


@pytest.mark.parametrize("format", FLOORS, ids=str)
@hypothesis.given(x=TENSORS)
@FEW
def test_a_second_floor_moves_by_at_most_a_step(format, x):
    limits = own_range(format, x)
    once = format.fake_quantize(x)
    twice = format.fake_quantize(once, **limits)
    step = format.make_grid(*limits["range"]).c
    assert ((twice.double() - once.double()).abs() <= step + 2 * slack(once.double())).all()


@pytest.mark.parametrize("format", GRIDS, ids=str)
@hypothesis.given(x=TENSORS)
@FEW
def test_an_integer_is_within_half_a_step_or_a_whole_one_for_floor(format, x):
    grid = format.make_grid(*own_range(format, x)["range"])
    out = format.fake_quantize(x).double()
    share = 1.0 if format.rounding == "floor" else 0.5
    error = (out - x.double()).abs()
    assert (error <= share * grid.c * (1 + 2.0**-40) + slack(out)).all()


@pytest.mark.parametrize("format", BLOCKS, ids=str)
@hypothesis.given(x=BOXES)
@FEW
def test_a_block_value_is_within_half_its_step_or_saturated(format, x):
    x = x[: format.box]
    block = format.block
    scale = box_scales(x.view(1, -1, 1), block).item()
    v = x.double() / scale
    element = block.element
    exponent = torch.frexp(v).exponent - 1 if element.floating else torch.zeros_like(v).int()
    step = torch.ldexp(torch.ones_like(v), exponent.clamp(min=element.emin) - element.mantissa)
    error = (format.fake_quantize(x).double() / scale - v).abs()
    saturated = v.abs() > element.maximum
    assert (error[~saturated] <= step[~saturated] / 2).all()
    assert torch.equal(error[saturated], v[saturated].abs() - element.maximum)


@pytest.mark.parametrize("format", FORMATS, ids=str)
@hypothesis.given(x=BOXES)
@FEW
def test_order_is_kept(format, x):
    x = x[:8].sort().values  # within one box
    out = format.fake_quantize(x)
    assert (out[1:] >= out[:-1]).all()


@pytest.mark.parametrize("format", SYMMETRIC, ids=str)
@hypothesis.given(x=TENSORS)
@FEW
def test_the_opposite_gives_the_opposite(format, x):
    assert torch.equal(format.fake_quantize(-x), -format.fake_quantize(x))


@pytest.mark.parametrize("format", WITH_ZERO, ids=str)
@hypothesis.given(x=TENSORS)
@FEW
def test_zero_stays_zero(format, x):
    x[0] = 0
    assert format.fake_quantize(x)[0] == 0


@pytest.mark.parametrize("format", FORMATS, ids=str)
@hypothesis.given(x=TENSORS)
@FEW
def test_float64_gives_the_same_values(format, x):
    # float64 takes the plain form, float32 the kernels.
    for axis, shaped in ((0, x), (0, x.view(-1, 1)), (1, x.view(1, -1))):
        # Beyond float32's largest value, float32 is held there.
        wide = format.fake_quantize(shaped.double(), axis).clamp(-LARGEST, LARGEST).float()
        out = format.fake_quantize(shaped, axis)
        assert torch.equal(wide, out)
        assert torch.equal(torch.signbit(wide), torch.signbit(out))
