"""The plain formulas in torch that the kernels are measured against: what one writes down first."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def affine(x: Tensor, bits: int = 8) -> Tensor:
    low, high = x.min(), x.max()
    first, last = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    c = ((high - low) / (last - first)).clamp(min=1e-12)
    d = torch.round((low * last - high * first) / (high - low + 1e-12))
    code = torch.clamp(torch.round(x / c - d), first, last)
    return (code + d) * c


def affine_rows(x: Tensor, bits: int = 8) -> Tensor:
    low, high = x.min(1, keepdim=True).values, x.max(1, keepdim=True).values
    first, last = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    c = ((high - low) / (last - first)).clamp(min=1e-12)
    d = torch.round((low * last - high * first) / (high - low + 1e-12))
    code = torch.clamp(torch.round(x / c - d), first, last)
    return (code + d) * c


def affine_stochastic(x: Tensor, bits: int = 8) -> Tensor:
    low, high = x.min(), x.max()
    c = (high - low) / (2**bits - 1)
    v = (x - low) / c
    floor = torch.floor(v)
    up = (torch.rand_like(v) < v - floor).float()
    return (floor + up) * c + low


def msfp(x: Tensor, m: int = 4, box: int = 16, stochastic: bool = False) -> Tensor:
    flat = x.reshape(-1)
    n = flat.numel()
    flat = torch.nn.functional.pad(flat, (0, -n % box)).view(-1, box)
    most = flat.abs().amax(1, keepdim=True)
    exponent = torch.floor(torch.log2(most.clamp(min=1e-38)))
    step = torch.pow(2.0, exponent - m + 1)
    v = flat / step
    v = torch.floor(v + torch.rand_like(v)) if stochastic else torch.round(v)
    out = torch.clamp(v, -(2**m - 1), 2**m - 1) * step
    return out.reshape(-1)[:n].view_as(x)


def microscaling(x: Tensor, mantissa: int, emin: int, emax: int, maximum: float, stochastic: bool = False) -> Tensor:
    flat = x.reshape(-1)
    n = flat.numel()
    flat = torch.nn.functional.pad(flat, (0, -n % 32)).view(-1, 32)
    most = flat.abs().amax(1, keepdim=True)
    scale = torch.pow(2.0, torch.floor(torch.log2(most.clamp(min=1e-38))) - emax)
    v = flat / scale
    exponent = torch.floor(torch.log2(v.abs().clamp(min=1e-38))).clamp(min=emin)
    step = torch.pow(2.0, exponent - mantissa)
    v = v / step
    v = torch.floor(v + torch.rand_like(v)) if stochastic else torch.round(v)
    out = torch.clamp(v * step, -maximum, maximum) * scale
    return out.reshape(-1)[:n].view_as(x)


def bfloat16(x: Tensor) -> Tensor:
    return x.to(torch.bfloat16).to(torch.float32)


def levels(x: Tensor, bits: int = 4) -> Tensor:
    most = x.abs().max()
    exponent = torch.round(-torch.log2((x.abs() / most).clamp(min=1e-38)))
    kept = exponent <= 2 ** (bits - 1) - 2
    return torch.sign(x) * torch.where(kept, torch.pow(2.0, -exponent), 0.0) * most


def fused_affine(x: Tensor, bits: int = 8) -> Tensor:
    """torch.fake_quantize_per_tensor_affine, its scale and zero point from the tensor's range."""
    low, high = torch.aminmax(x)
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    first, last = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    scale = ((high - low) / (last - first)).clamp(min=1e-12)
    zero = (first - torch.round(low / scale)).clamp(first, last).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(x, scale, zero, first, last)


PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "int8": affine,
    "int8 a row": affine_rows,
    "int8 stochastic": affine_stochastic,
    "msfp13": msfp,
    "msfp13 stochastic": lambda x: msfp(x, stochastic=True),
    "mxfp8_e4m3": lambda x: microscaling(x, 3, -6, 8, 448.0),
    "mxfp8_e4m3 stochastic": lambda x: microscaling(x, 3, -6, 8, 448.0, stochastic=True),
    "mxfp4_e2m1": lambda x: microscaling(x, 1, 0, 2, 6.0),
    "mxint8": lambda x: msfp(x, m=7, box=32),
    "bf16": bfloat16,
    "log4": levels,
}
