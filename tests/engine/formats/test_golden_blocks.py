"""Golden vectors of MSFP, MX, the half floats and the non-uniform levels, worked out by hand."""

from __future__ import annotations

import pytest
import torch

from engine.formats import get_format

TINY = 2.0**-130


@pytest.mark.parametrize(
    ("name", "x", "expected"),
    [
        # m = 4, max 1: e = 0, step 1/8. 1/16 is a tie to 0, 3/16 to 2 steps; the sign of zero is kept.
        ("msfp13", [1.0, 0.0625, 0.1875, -0.0625, -0.0], [1.0, 0.0, 0.25, -0.0, -0.0]),
        # m = 3, step ¼: 1.9 → 7.6 → 8, saturated at 7.
        ("msfp12", [1.9, -1.9, 0.3], [1.75, -1.75, 0.25]),
        # m = 1: step = 2^e.
        ("msfp10", [3.0, 1.0, -0.9], [2.0, 0.0, -0.0]),
        # [T]'s exponent: an exact power of two has half the step, and saturates.
        ("msfp12(thesis_exponent=true)", [1.0, 0.3], [0.875, 0.25]),
        ("msfp12(thesis_exponent=true)", [1.5, 0.3], [1.5, 0.25]),
        ("msfp13", [0.0, -0.0], [0.0, -0.0]),
        # e is clamped to −127: step 2^−130, whatever is far below is zero.
        ("msfp13", [8 * TINY, 3 * TINY, 2.0**-140, 2.0**-149], [8 * TINY, 3 * TINY, 0.0, 0.0]),
        ("msfp13", [2.0**-149], [0.0]),
        # The largest float32 saturates at 15·2^124.
        ("msfp13", [torch.finfo(torch.float32).max, 1e38], [15 * 2.0**124, 5 * 2.0**124]),
        # E4M3, max 480: X = 0; 480 is above 448. 2^−9 is the least subnormal; half of it is a tie to 0.
        ("mxfp8_e4m3", [480.0, 2.0**-9, 2.0**-10, 3 * 2.0**-10], [448.0, 2.0**-9, 0.0, 2.0**-8]),
        ("mxfp8_e4m3", [1.0, -0.3], [1.0, -0.3125]),
        # E5M2, max 65535: X = 0; above 57344 it saturates.
        ("mxfp8_e5m2", [65535.0, 2.0**-16, 2.0**-17], [57344.0, 2.0**-16, 0.0]),
        # E2M1, X = 0: 5 is a tie between 4 and 6, to the even 4; ¼ to 0, ¾ to 1, 1¼ to 1, 3½ to 4.
        ("mxfp4_e2m1", [7.0, 5.0, 0.25, 0.75, 1.25, 3.5, -0.0], [6.0, 4.0, 0.0, 1.0, 1.0, 4.0, -0.0]),
        # E3M2, X = 0: 30 → 28 (saturated); least subnormal 2^−4.
        ("mxfp6_e3m2", [31.0, 13.0, 0.0625, 0.03125], [28.0, 12.0, 0.0625, 0.0]),
        # E2M3, X = 0: step ½ in [4, 8).
        ("mxfp6_e2m3", [7.9, 4.25, 4.75, 0.0625], [7.5, 4.0, 5.0, 0.0]),
        # INT8, X = 0, step 1/64: 1.999 → 128, saturated at 127; one zero.
        ("mxint8", [1.999, -1.999, 0.5 / 64, 1.5 / 64, -0.0], [127 / 64, -127 / 64, 0.0, 2 / 64, 0.0]),
        ("mxfp8_e4m3", [0.0, -0.0], [0.0, -0.0]),
        # The shared exponent is clamped at −127: amax 2^−120 would want −128.
        ("mxfp8_e4m3", [2.0**-120, 2.0**-136, 2.0**-137], [2.0**-120, 2.0**-136, 0.0]),
        # fp16: ties to even, subnormals, saturation.
        (
            "fp16",
            [2049.0, 2051.0, 1e6, -1e6, 2.0**-24, 2.0**-25, -0.0],
            [2048.0, 2052.0, 65504.0, -65504.0, 2.0**-24, 0.0, -0.0],
        ),
        # bf16: 8 significant bits; 257 is a tie to 256, 259 to 260.
        ("bf16", [257.0, 259.0, 1.0, 2.0**-133, -0.0], [256.0, 260.0, 1.0, 2.0**-133, -0.0]),
        ("bf16", [torch.finfo(torch.float32).max], [(2 - 2.0**-7) * 2.0**127]),
        # log4: 1, ½, … 1/64 and 0. 0.75 is a tie between places 7 (1) and 6 (½): the even 6. One zero.
        ("log4", [1.0, 0.76, 0.75, 0.375, 0.007, -0.012, -0.0], [1.0, 1.0, 0.5, 0.5, 0.0, -1 / 64, 0.0]),
        # apot4 on [−10, 10]: 0, 1, 2, 3, 4, 6, 8, 10; 5 and 9 are ties: places 4 (4), 6 (8).
        ("apot4", [10.0, -10.0, 5.0, 7.1, 9.0, 0.6, 2.5], [10.0, -10.0, 4.0, 8.0, 8.0, 1.0, 2.0]),
        ("log4", [0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_golden(name, x, expected):
    found = get_format(name).fake_quantize(torch.tensor(x))
    wanted = torch.tensor(expected)
    assert torch.allclose(found, wanted, rtol=1e-7, atol=0), found
    assert torch.equal(torch.signbit(found), torch.signbit(wanted)), found


@pytest.mark.parametrize("exponent", range(-126, 128))
def test_exact_powers_of_two_are_kept(exponent):
    # log2 in float32 is off by one at some of them.
    x = torch.tensor([2.0**exponent])
    for name in ("msfp11", "msfp16", "mxint8"):
        assert torch.equal(get_format(name).fake_quantize(x), x)


def test_a_box_is_sixteen_values_along_the_axis_and_the_last_may_be_short():
    x = torch.ones(2, 18) / 64
    x[0, 0], x[1, 17] = 1.0, 1.0
    out = get_format("msfp11").fake_quantize(x)  # step ½ beside a 1, else 1/128
    expected = x.clone()
    expected[0, 1:16] = 0
    expected[1, 16] = 0
    assert torch.equal(out, expected)


def test_boxes_along_another_axis():
    torch.manual_seed(0)
    x = torch.randn(3, 37, 5)
    format = get_format("msfp12")
    moved = format.fake_quantize(x.movedim(1, -1).contiguous()).movedim(-1, 1)
    assert torch.equal(format.fake_quantize(x, 1), moved)
    assert torch.equal(format.fake_quantize(x, -2), moved)


@pytest.mark.parametrize("box", [8, 16, 32, 100, 128])
def test_a_box_may_have_another_length(box):
    torch.manual_seed(0)
    x = torch.randn(3 * box)
    out = get_format(f"msfp12(box={box})").fake_quantize(x).view(3, box)
    step = 2.0 ** (torch.floor(torch.log2(x.view(3, box).abs().amax(1, keepdim=True))) - 2)
    assert torch.equal(out, torch.clamp(torch.round(x.view(3, box) / step), -7, 7) * step)


def test_saturation_is_counted():
    assert get_format("msfp12").count_saturated(torch.tensor([1.9, -1.9, 0.3])).item() == 2
    assert get_format("mxfp8_e4m3").count_saturated(torch.tensor([480.0, 1.0])).item() == 1
    assert get_format("fp16").count_saturated(torch.tensor([1e6, 65504.0])).item() == 1
    assert get_format("log4").count_saturated(torch.tensor([1.0, 3.0]), range=(-2.0, 2.0)).item() == 1
