"""Other people's implementations as oracles: ml_dtypes for the elements, torch for the integers."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import torch

from engine.formats import get_format
from engine.formats.microscaling import ELEMENTS
from engine.kernels.bitplanes import unpack

PEERS = {
    "mxfp8_e4m3": ml_dtypes.float8_e4m3fn,
    "mxfp8_e5m2": ml_dtypes.float8_e5m2,
    "mxfp6_e3m2": ml_dtypes.float6_e3m2fn,
    "mxfp6_e2m3": ml_dtypes.float6_e2m3fn,
    "mxfp4_e2m1": ml_dtypes.float4_e2m1fn,
}


def hard_values(maximum: float, count: int) -> torch.Tensor:
    """Random magnitudes over many binades up to ``maximum``, ties among them, signs mixed."""
    generator = torch.Generator().manual_seed(0)
    binade = torch.rand(count, generator=generator) * 30 - 26
    x = torch.exp2(binade) * torch.where(torch.rand(count, generator=generator) < 0.5, -1, 1)
    coarse = torch.round(x * 2.0**12 / maximum) * maximum / 2.0**12
    x = torch.where(torch.rand(count, generator=generator) < 0.5, x * maximum / 16, coarse)
    return x.clamp(-maximum, maximum)


@pytest.mark.parametrize("name", PEERS)
def test_elements_equal_ml_dtypes(name):
    element = ELEMENTS[name]
    x = hard_values(element.maximum, 32 * 2000).view(-1, 32).clone()
    x[:, 0] = 2.0**element.emax  # pins the shared exponent at 0
    out = get_format(name).fake_quantize(x)
    peer = x.numpy().astype(PEERS[name]).astype(np.float32)
    assert np.array_equal(out.numpy().view(np.int32), peer.view(np.int32))


@pytest.mark.parametrize("name", PEERS)
def test_codes_and_scales_equal_ml_dtypes(name):
    element = ELEMENTS[name]
    x = hard_values(element.maximum, 32 * 100).view(-1, 32).clone()
    x[:, 0] = 2.0**element.emax
    x *= torch.exp2(torch.arange(-50, 50)).view(-1, 1)
    encoded = get_format(name).encode(x)
    scales = encoded.metadata[0].numpy().reshape(-1).view(ml_dtypes.float8_e8m0fnu).astype(np.float32)
    assert np.array_equal(scales, np.exp2(np.arange(-50, 50)).astype(np.float32))
    codes = unpack(encoded.codes, x.numel()).view(x.shape).numpy().astype(np.uint8)
    peer = (x.numpy() / scales[:, None]).astype(PEERS[name]).view(np.uint8)
    assert np.array_equal(codes, peer)


@pytest.mark.parametrize(("name", "peer"), [("fp16", np.float16), ("bf16", ml_dtypes.bfloat16)])
def test_half_floats_equal_numpy_and_ml_dtypes(name, peer):
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(-(2**31), 2**31, (200_000,), generator=generator).to(torch.int32).view(torch.float32)
    x = x[torch.isfinite(x) & (x.abs() <= (65504 if name == "fp16" else 3.3e38))]
    out = get_format(name).fake_quantize(x)
    assert np.array_equal(out.numpy().view(np.int32), x.numpy().astype(peer).astype(np.float32).view(np.int32))


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zero_point", [0, -1, 1, -2])
def test_integers_equal_torchs_fake_quantize(bits, zero_point):
    # A step that is a power of two, so that torch's float32 arithmetic is exact, and no ties, which torch breaks
    # before it adds the zero point.
    first, last = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    step = 2.0**-5
    low, high = (first - zero_point) * step, (last - zero_point) * step
    x = torch.randn(10_000, generator=torch.Generator().manual_seed(0)) * (high - low)
    peer = torch.fake_quantize_per_tensor_affine(x, step, zero_point, first, last)
    assert torch.equal(get_format(f"int{bits}").fake_quantize(x, range=(low, high)), peer)


def test_channels_equal_torchs_fake_quantize():
    x = torch.randn(40, 300, generator=torch.Generator().manual_seed(0))
    steps = torch.exp2(-torch.arange(40) % 7 - 4.0)
    reach = steps.view(-1, 1) * 127
    peer = torch.fake_quantize_per_channel_affine(x, steps, torch.zeros(40, dtype=torch.int32), 0, -127, 127)
    out = get_format("int8-symmetric").fake_quantize(x, -1, granularity="channel", range=(-reach, reach))
    assert torch.equal(out, peer)
