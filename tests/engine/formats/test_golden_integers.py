"""Golden vectors of the integer formats, worked out by hand from METHODS §1."""

from __future__ import annotations

import math

import pytest
import torch

from engine.formats import get_format


def check(name: str, x: list[float], expected: list[float], **settings):
    found = get_format(name).fake_quantize(torch.tensor(x), **settings)
    wanted = torch.tensor(expected)
    assert torch.equal(found, wanted), found
    assert torch.equal(torch.signbit(found), torch.signbit(wanted)), found


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        # [−1, 2]: c = 1, d = (−1·1 + 2·2)/3 = 1. 0.5 − 1 is a tie, to code 0: 1. −0.0 comes back as 0.0.
        ("int2", [-1.0, -0.0, 0.0, 0.5, 1.4, 2.0], [-1.0, 0.0, 0.0, 1.0, 1.0, 2.0]),
        # [0, 255]: c = 1, d = 128: ties −127.5 → −128 and −126.5 → −126.
        ("int8", [0.0, 0.5, 1.5, 100.0, 255.0], [0.0, 0.0, 2.0, 100.0, 255.0]),
        # Symmetric about 0: d = ½, rounded to 0. 7.5 → 8, clamped to 7; −7.5 → −8.
        ("int4", [-7.5, -0.5, 0.5, 1.5, 7.5], [-8.0, 0.0, 0.0, 2.0, 7.0]),
        # 1 bit, codes −1 and 0, c = 2, d = ½ → 0: everything is zero.
        ("int1", [-1.0, 0.3, 1.0], [0.0, 0.0, 0.0]),
        # The deck's form keeps d = ½: levels −1 and 1; 0 is a tie, to code 0.
        ("binary", [-1.0, -0.1, 0.0, 0.3, 1.0], [-1.0, -1.0, 1.0, 1.0, 1.0]),
        # [1, 4] as observed: c = 1, d = 3; widened to [0, 4]: c = 4/3, d = 2.
        ("int2(exact_zero=false)", [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]),
        ("int2", [1.0, 2.0, 3.0, 4.0], [4 / 3, 8 / 3, 8 / 3, 4.0]),
        # All equal: the deck's form returns x.
        ("int4(exact_zero=false)", [0.3, 0.3], [0.3, 0.3]),
        ("int4", [0.3, 0.3], [0.3, 0.3]),
        ("int4", [0.0, -0.0], [0.0, 0.0]),
        # Denormals: c = 2^−149.
        ("int8", [0.0, 2.0**-149, 255 * 2.0**-149], [0.0, 2.0**-149, 255 * 2.0**-149]),
        # One element.
        ("int8", [-3.0], [-3.0]),
        # Symmetric, c = 1: 1.5 → 2, 2.5 → 2, −0.4 → 0 (+0: integers have one zero).
        ("int3-symmetric", [-3.0, 1.5, 0.5, 2.5, -0.4], [-3.0, 2.0, 0.0, 2.0, 0.0]),
        ("int2-symmetric", [-1.0, 0.4, 0.6, 1.0], [-1.0, 0.0, 1.0, 1.0]),
        ("int2-symmetric", [0.0, 0.0], [0.0, 0.0]),
        # Power of two: 2^−7 would need code 128 for 1.0, so c = 2^−6.
        ("int8-pow2", [1.0, 1 / 128, 3 / 128], [1.0, 0.0, 4 / 128]),
        # 255/256 is 127.5 at 2^−7, a tie to 128: one too many, so c = 2^−6 and 63.75 → 64.
        ("int8-pow2", [255 / 256], [1.0]),
        ("int8-pow2", [0.99], [127 / 128]),
        ("int2-pow2", [1.0, -0.6], [1.0, -1.0]),
        ("int8-pow2(thesis_exponent=true)", [1.0, 0.5], [127 / 128, 0.5]),
        ("int2-pow2(thesis_exponent=true)", [1.0], [0.5]),
        ("int4-pow2", [0.0], [0.0]),
        # Floor-affine: s = 1; x_max comes back as x_max − s.
        ("int2-floor", [0.0, 0.9, 1.0, 2.5, 4.0], [0.0, 0.0, 1.0, 2.0, 3.0]),
        # s = ½, x_min = −1: "rematching".
        ("int2-floor", [-1.0, -0.6, -0.5, 1.0], [-1.0, -1.0, -0.5, 0.5]),
        # 1 bit: x_min and the middle.
        ("int1-floor", [-1.0, -0.2, 0.2, 1.0], [-1.0, -1.0, 0.0, 0.0]),
        ("int4-floor", [0.7, 0.7], [0.7, 0.7]),
    ],
)
def test_golden(name, x, expected):
    check(name, x, expected)


def test_a_range_wider_than_float32_does_not_overflow():
    x = torch.tensor([-3e38, 0.0, 1e38, 3e38])
    out = get_format("int8").fake_quantize(x)
    assert torch.isfinite(out).all()
    assert ((out.double() - x.double()).abs() <= 6e38 / 255 * 0.5 * (1 + 1e-6)).all()
    assert out[1] == 0


def test_a_given_range_clamps():
    # [−1, 2] again: c = 1, d = 1.
    check("int2", [-9.0, 0.2, 9.0], [-1.0, 0.0, 2.0], range=(-1.0, 2.0))
    check("int3-symmetric", [-9.0, 1.2, 9.0], [-3.0, 1.0, 3.0], range=(-2.0, 3.0))
    check("int2-floor", [-9.0, 0.7, 9.0], [0.0, 0.0, 3.0], range=(0.0, 4.0))


def test_a_given_range_of_one_value_gives_that_value():
    check("int4(exact_zero=false)", [-9.0, 0.7], [2.0, 2.0], range=(2.0, 2.0))


def test_rounding_can_be_chosen():
    check("int2", [-1.0, 0.9, 2.0], [-1.0, 0.0, 2.0], rounding="floor")
    check("int2-floor", [0.0, 0.9, 4.0], [0.0, 1.0, 3.0], rounding="nearest")


def test_a_range_a_row_and_a_channel():
    x = torch.tensor([[0.0, 1.0, 3.0], [0.0, 20.0, 30.0]])
    rows = get_format("int2").fake_quantize(x, -1, granularity="row")
    # Row 1: c = 1; row 2: c = 10.
    assert torch.equal(rows, torch.tensor([[0.0, 1.0, 3.0], [0.0, 20.0, 30.0]]))
    columns = get_format("int1-floor").fake_quantize(x, 0, granularity="channel")
    # Columns [0, 0] → 0; [1, 20]: s = 9.5 → 1 and 10.5; [3, 30]: s = 13.5 → 3 and 16.5.
    assert torch.equal(columns, torch.tensor([[0.0, 1.0, 3.0], [0.0, 10.5, 16.5]]))


def test_a_given_range_a_row():
    x = torch.tensor([[0.4, 9.0], [14.0, 90.0]])
    low, high = torch.tensor([[0.0], [0.0]]), torch.tensor([[3.0], [30.0]])
    out = get_format("int2").fake_quantize(x, -1, granularity="row", range=(low, high))
    assert torch.equal(out, torch.tensor([[0.0, 3.0], [10.0, 30.0]]))


def test_row_normalised_binary_features_are_exact_at_one_bit_a_row():
    x = torch.tensor([[0.0, 1 / 3, 1 / 3, 1 / 3], [0.0, 0.0, 1.0, 0.0]])
    assert torch.equal(get_format("int1").fake_quantize(x, granularity="row"), x)


def test_saturated_codes_are_counted():
    x = torch.tensor([-7.5, 0.0, 1.0, 7.5])
    assert get_format("int4").count_saturated(x).item() == 1
    assert get_format("int8-pow2(thesis_exponent=true)").count_saturated(torch.tensor([1.0, 0.1])).item() == 1
    assert get_format("int8-pow2").count_saturated(torch.tensor([1.0, 0.1])).item() == 0


def test_scale_and_offset_are_computed_in_float64():
    # In float32, (β − α)/255 and its reciprocal would put this value on the other side of a tie.
    low, high = -0.1, 0.3
    x = torch.linspace(low, high, 4001)
    low, high = x[0].item(), x[-1].item()
    c = (high - low) / 255
    d = round((low * 127 + high * 128) / (high - low))
    expected = [c * (min(max(round(v / c - d), -128), 127) + d) for v in x.tolist()]
    assert torch.equal(get_format("int8").fake_quantize(x), torch.tensor(expected, dtype=torch.float64).float())
    assert math.isclose(c, 0.4 / 255, rel_tol=1e-6)
