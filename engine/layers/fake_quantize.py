"""Fake quantization with the straight-through estimator: the forward rounds, the gradient passes."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.live import Sites
from engine.scheme import FP32


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, sites: Sites, site: str, product: str, axis: int) -> Tensor:
        return sites.quantize(x, site, product, axis)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient, None, None, None, None


def fake_quantize(x: Tensor, sites: Sites, site: str, product: str, axis: int = -1) -> Tensor:
    """x at this site, same shape; the gradient is that of the identity (METHODS §3, STE)."""
    if sites.format(site, product) == FP32:
        return x
    return _StraightThrough.apply(x, sites, site, product, axis)
