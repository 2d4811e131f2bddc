"""Packed forms: their size, and that decoding gives what fake-quantizing gives, bit for bit."""

from __future__ import annotations

import hypothesis
import pytest
import torch
from hypothesis import strategies as st

from engine.formats import get_format, list_formats
from engine.kernels.bitplanes import pack, unpack
from engine.randomness import make_key

VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=True)
OPTIONS = ["int4(exact_zero=false)", "int4-pow2(thesis_exponent=true)", "msfp12(thesis_exponent=true)", "msfp12(box=8)"]
SOME_NAMES = (
    "int1 int5 binary int16-symmetric int8-pow2 int4-floor log4 apot5 msfp10 msfp13 mxfp4_e2m1 mxfp8_e5m2 mxint8 "
    "fp16 bf16 fp32"
)
SOME = [get_format(name) for name in SOME_NAMES.split()]
FORMATS = [*list_formats(), *(get_format(name) for name in OPTIONS)]


def equal_bits(a: torch.Tensor, b: torch.Tensor) -> bool:
    return torch.equal(a, b) and torch.equal(torch.signbit(a), torch.signbit(b))


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("rounding", ["nearest", "floor", "stochastic"])
def test_decoding_gives_what_fake_quantizing_gives(format, rounding):
    x = torch.randn(21, 37, generator=torch.Generator().manual_seed(0))
    x[0], x[:, 3], x[5, 5] = 0, -0.0, 2.0**-140
    settings = {"rounding": rounding, "generator": make_key(1, 2, 3)}
    for axis in (0, 1):
        for granularity in ("tensor", "row") if format.ranged else ("tensor",):
            expected = format.fake_quantize(x, axis, granularity=granularity, **settings)
            encoded = format.encode(x, axis, granularity=granularity, **settings)
            assert equal_bits(encoded.decode(), expected)


@pytest.mark.parametrize("format", SOME, ids=str)
@hypothesis.given(values=st.lists(VALUES, min_size=1, max_size=40))
@hypothesis.settings(max_examples=25)
def test_any_values_survive_packing(format, values):
    x = torch.tensor(values)
    assert equal_bits(format.encode(x).decode(), format.fake_quantize(x))


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_packed_bytes_are_the_charged_bits(format):
    shape = (64, 160)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for axis in (0, 1):
        for granularity in ("tensor", "row") if format.ranged else ("tensor",):
            encoded = format.encode(x, axis, granularity=granularity)
            assert encoded.nbytes * 8 == format.charged_bits(shape, axis, granularity)


@pytest.mark.parametrize(("name", "settings"), [("int3", {"range": (-0.1, 0.7)}), ("log4", {"range": (-0.1, 0.7)})])
def test_a_range_that_float32_does_not_hold_is_kept(name, settings):
    x = torch.randn(100, generator=torch.Generator().manual_seed(0))
    format = get_format(name)
    assert equal_bits(format.encode(x, **settings).decode(), format.fake_quantize(x, **settings))


def test_bytes_worked_out_by_hand():
    # [−1, 2]: c = 1, d = 1: codes −2, −1, 0, 1 are kept as 0, 1, 2, 3: planes 0101 and 0011.
    encoded = get_format("int2").encode(torch.tensor([-1.0, 0.0, 1.0, 2.0]))
    assert encoded.codes.tolist() == [[0b01010000], [0b00110000]]
    assert [part.tolist() for part in encoded.metadata] == [-1.0, 2.0]
    # Step ½ of a box with e = 0: sign and 2 bits of 2, −1, −0, 3; the exponent's byte is 127.
    encoded = get_format("msfp11").encode(torch.tensor([1.0, -0.5, -0.0, 1.5]))
    assert encoded.codes.tolist() == [[0b01010000], [0b10010000], [0b01100000]]
    assert [part.flatten().tolist() for part in encoded.metadata] == [[127]]
    # 448 is E4M3's 0x7e, −2^−9 its 0x81; X = 0 is the byte 127 of E8M0.
    encoded = get_format("mxfp8_e4m3").encode(torch.tensor([448.0, -(2.0**-9)]))
    assert unpack(encoded.codes, 2).tolist() == [0x7E, 0x81]
    assert encoded.metadata[0].flatten().tolist() == [127]
    # Two's complement: 1.5 is 96, −1 is 256 − 64.
    encoded = get_format("mxint8").encode(torch.tensor([1.5, -1.0]))
    assert unpack(encoded.codes, 2).tolist() == [96, 192]


@hypothesis.given(data=st.data(), width=st.integers(1, 16))
def test_bit_planes_are_lossless(data, width):
    codes = data.draw(st.lists(st.integers(0, (1 << width) - 1), max_size=50))
    planes = pack(torch.tensor(codes, dtype=torch.int32), width)
    assert planes.shape == (width, (len(codes) + 7) // 8)
    assert unpack(planes, len(codes)).tolist() == codes
