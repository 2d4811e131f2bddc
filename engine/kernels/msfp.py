"""MSFP fake-quantization: boxes along an axis share an exponent; exponents by frexp (METHODS §1)."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.errors import RunError


def fake_quantize_msfp(x: Tensor, mantissa: int, box: int, axis: int) -> Tensor:
    """x̂ = code·step with step = 2^(e−(m−1)), code = clamp(round(x/step), ±(2^m−1)), boxes along ``axis``.

    Any shape and length (the last box may be short). Raises RunError where x holds NaN or infinity.
    """
    x = x.detach()
    out = torch.empty(x.shape, dtype=torch.float32, device=x.device)
    if x.numel() == 0:
        return out.to(x.dtype)
    source, target = x.float().movedim(axis, -1), out.movedim(axis, -1)
    length = source.shape[-1]
    whole = length - length % box
    most = (1 << mantissa) - 1
    for start, stop in ((0, whole), (whole, length)):
        if start == stop:
            continue
        size = box if start == 0 and whole else stop - start
        part = source[..., start:stop].unflatten(-1, (-1, size))
        into = target[..., start:stop].unflatten(-1, (-1, size))
        amax = torch.linalg.vector_norm(part, float("inf"), dim=-1, keepdim=True)
        if not bool(torch.isfinite(amax).all()):
            raise RunError("the tensor to quantize holds NaN or infinity")
        power = (torch.frexp(amax).exponent - 1).clamp_(-127, 127) - (mantissa - 1)
        half = torch.div(-power, 2, rounding_mode="floor")
        one = torch.ones_like(amax)
        torch.mul(part, torch.ldexp(one, half), out=into)
        into.mul_(torch.ldexp(one, -power - half)).round_().clamp_(-most, most)
        into.mul_(torch.ldexp(one, -half)).mul_(torch.ldexp(one, power + half))
    return out.to(x.dtype)
