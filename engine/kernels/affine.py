"""Affine fake-quantization of a whole tensor: c and d in float64, one output buffer (METHODS §1)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.errors import RunError

CHUNK = 1 << 16
"""Elements a pass, so that the float64 working copy stays small."""


def fake_quantize_affine(x: Tensor, width: int) -> Tensor:
    """x̂ = c·(clamp(round(x/c − d)) + d) with the tensor's own range, widened to include 0, and d rounded.

    Any shape; same dtype, device and strides out. Raises RunError where x holds NaN or infinity.
    """
    x = x.detach()
    out = torch.empty_like(x)
    if x.numel() == 0:
        return out
    least, most = torch.aminmax(x)
    low, high = min(float(least), 0.0), max(float(most), 0.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RunError("the tensor to quantize holds NaN or infinity")
    if low == high:
        return out.copy_(x)
    first, last = -(1 << (width - 1)), (1 << (width - 1)) - 1
    c = (high - low) / (last - first)
    d = float(round((low * last - high * first) / (high - low)))
    source, target = x.reshape(-1), torch.empty(x.shape, dtype=x.dtype, device=x.device)
    flat = target.view(-1)
    for start in range(0, flat.numel(), CHUNK):
        part = source[start : start + CHUNK].double()
        part.div_(c).sub_(d).round_().clamp_(first, last).add_(d).mul_(c)
        flat[start : start + CHUNK] = part.float() if x.dtype in (torch.float16, torch.bfloat16) else part
    return target
