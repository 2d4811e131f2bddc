"""What comes in: shapes, views, types, empty tensors, bad numbers, bad words."""

from __future__ import annotations

import pytest
import torch

from engine.errors import InputError
from engine.formats import get_format
from engine.kernels.finite import NonFiniteError
from engine.randomness import make_key

KINDS = (
    "int8",
    "int4-symmetric",
    "int8-pow2",
    "int4-floor",
    "log4",
    "msfp13",
    "mxfp8_e4m3",
    "mxint8",
    "fp16",
    "bf16",
)
RANGED = [name for name in KINDS if get_format(name).ranged]


def equal_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.dtype == b.dtype and torch.equal(a, b) and torch.equal(torch.signbit(a), torch.signbit(b))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (0, 3), (5, 7), (2, 3, 35), (1, 1, 1, 1)])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_shape_type_and_device_are_kept(name, shape, dtype):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    format = get_format(name)
    for rounding in ("nearest", "stochastic"):
        out = format.fake_quantize(x, rounding=rounding, generator=make_key(0, 0, 0))
        assert (out.shape, out.dtype, out.device, out.requires_grad) == (x.shape, dtype, x.device, False)
        encoded = format.encode(x, rounding=rounding, generator=make_key(0, 0, 0))
        assert equal_bits(encoded.decode(), out)


@pytest.mark.parametrize("name", KINDS)
def test_the_input_is_not_changed(name):
    x = torch.randn(9, 40, generator=torch.Generator().manual_seed(1))
    before = x.clone()
    out = get_format(name).fake_quantize(x)
    assert torch.equal(x, before)
    assert out.data_ptr() != x.data_ptr()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_a_view_gives_what_its_copy_gives(name, rounding):
    base = torch.randn(12, 50, 6, generator=torch.Generator().manual_seed(1))
    format = get_format(name)
    views = [
        base.transpose(0, 1),
        base.permute(2, 0, 1),
        base[:, ::2],
        base[1:, 3:40, 1:5],
        base[0].t(),
        base[:1].expand(4, 50, 6),
    ]
    for view in views:
        for axis in (0, -1):
            settings = {"rounding": rounding, "generator": make_key(0, 0, 0)}
            expected = format.fake_quantize(view.contiguous(), axis, **settings)
            assert equal_bits(format.fake_quantize(view, axis, **settings), expected)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_worked_on_as_float32(name, dtype):
    x = torch.randn(9, 40, generator=torch.Generator().manual_seed(1)).to(dtype)
    format = get_format(name)
    assert equal_bits(format.fake_quantize(x), format.fake_quantize(x.float()).to(dtype))


def test_float64_keeps_what_float32_does_not_hold():
    x = torch.tensor([1.0 + 2.0**-40, 1e300], dtype=torch.float64)
    assert get_format("int8").fake_quantize(x)[1] == x[1]
    tiny = torch.tensor([0.0, 255.0, 1.0 + 2.0**-40], dtype=torch.float64)
    assert get_format("int8").fake_quantize(tiny)[2] == 1.0


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
def test_nan_and_infinity_are_refused(name, bad, dtype):
    x = torch.ones(5, 40, dtype=dtype)
    x[3, 37] = bad
    format = get_format(name)
    message = (
        "the tensor to quantize holds NaN or infinity in 1 of 200 elements, the first at (3, 37): "
        "lower the learning rate, or use a wider format"
    )
    ways = [{}, {"axis": 0}, {"rounding": "stochastic", "generator": make_key(0, 0, 0)}]
    if format.ranged:
        ways += [{"range": (-1.0, 1.0)}, {"granularity": "row"}]
        ways += [{"range": (torch.tensor(-1.0), torch.tensor(1.0)), "granularity": "row"}]
    for settings in ways:
        for call in (format.fake_quantize, format.encode):
            with pytest.raises(NonFiniteError) as error:
                call(x, **settings)
            assert str(error.value) == message


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("int8", {"rounding": "up"}, "unknown rounding 'up': allowed are nearest, floor, stochastic"),
        (
            "msfp13",
            {"rounding": "stochastic"},
            "stochastic rounding needs a generator: give one by engine.randomness.make_key(seed, stream, step)",
        ),
        ("int8", {"granularity": "node"}, "unknown granularity 'node': allowed are tensor, row, channel"),
        ("int8", {"axis": 2}, "axis 2 is not an axis of a tensor of 2 dimensions: allowed are -2…1"),
        ("msfp13", {"axis": -3}, "axis -3 is not an axis of a tensor of 2 dimensions: allowed are -2…1"),
        (
            "msfp13",
            {"range": (0.0, 1.0)},
            "msfp13 takes no range and no granularity: its exponents come with its elements",
        ),
        ("int8", {"range": 3.0}, "a range is a pair (low, high) of numbers or tensors"),
        ("int8", {"range": (1.0, 0.0)}, "the range (1, 0) is not one: low ≤ high, both finite, is needed"),
        (
            "int8",
            {"range": (torch.zeros(3), torch.ones(3)), "granularity": "row"},
            "a range a line needs 4 pairs for a tensor of shape (4, 5) along axis 1, not 3",
        ),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(name, settings, message):
    with pytest.raises(InputError) as error:
        get_format(name).fake_quantize(torch.ones(4, 5), **settings)
    assert str(error.value) == message


def test_a_float64_range_that_overflows_is_refused():
    with pytest.raises(InputError) as error:
        get_format("int8").fake_quantize(torch.tensor([-1e308, 1e308], dtype=torch.float64))
    assert str(error.value) == "int8: the range from -1e+308 to 1e+308 is wider than float64 can hold"


@pytest.mark.parametrize("name", RANGED)
def test_a_range_may_be_numbers_or_tensors(name):
    x = torch.randn(9, 40, generator=torch.Generator().manual_seed(1))
    format = get_format(name)
    numbers = format.fake_quantize(x, range=(-1.0, 2.0))
    assert equal_bits(format.fake_quantize(x, range=(torch.tensor(-1.0), torch.tensor(2.0))), numbers)
    lines = format.fake_quantize(x, range=(torch.tensor(-1.0), torch.tensor(2.0)), granularity="row")
    assert equal_bits(lines, numbers)
