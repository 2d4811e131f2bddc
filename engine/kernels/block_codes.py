"""Codes of block formats: sign and magnitude (or two's complement) of each element, an exponent byte a box.

A magnitude's code is its place among the non-negative values of the element, which ascend with it, as in
the OCP formats and IEEE's; the sign is the highest bit. An element without a signed zero is two's complement.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from engine.kernels.blocks import Block, Element, box_exponents, power_of_two, spread_scales
from engine.kernels.finite import NonFiniteError
from engine.kernels.layout import around, narrow
from engine.kernels.rounding import Rounding

BIAS = 127
"""Added to a shared exponent to make its byte, as in E8M0."""


@cache
def magnitudes(element: Element) -> Tensor:
    """The element's non-negative values in order, float64: the place of each is its code."""
    if not element.floating:
        step = 2.0 ** (element.emin - element.mantissa)
        return torch.arange(round(element.maximum / step) + 1, dtype=torch.float64) * step
    values: list[float] = []
    binade = 1 << element.mantissa
    step, code = 2.0 ** (element.emin - element.mantissa), 0
    while not values or values[-1] < element.maximum:
        values.append(step * code)
        code += 1
        if code == 2 * binade:
            step, code = 2 * step, binade
    return torch.tensor(values, dtype=torch.float64)


def encode_blocks(x: Tensor, block: Block, axis: int, rounding: Rounding, width: int) -> tuple[Tensor, Tensor]:
    """(codes int32 of x's shape, exponent bytes uint8 with the boxes along the axis)."""
    wide = x.detach().contiguous()
    wide = wide.double() if wide.dtype == torch.float64 else wide.float()
    if x.numel() == 0:
        return torch.empty(x.shape, dtype=torch.int32, device=x.device), torch.empty(
            0, dtype=torch.uint8, device=x.device
        )
    source = around(wide, axis)
    exponent, finite = box_exponents(source, block)
    if not bool(finite.all()):
        raise NonFiniteError(x)
    scale = power_of_two(exponent)
    v = block.element.round_(source.double() / spread_scales(scale, block, source.shape[1]), rounding, 0)
    magnitude = torch.searchsorted(magnitudes(block.element).to(x.device), v.abs()).to(torch.int32)
    negative = torch.signbit(v)
    if block.element.signed_zero:
        codes = magnitude + (negative.to(torch.int32) << (width - 1))
    else:
        codes = torch.where(negative, -magnitude, magnitude) & ((1 << width) - 1)
    return codes.view(x.shape), (exponent + BIAS).to(torch.uint8)


def decode_blocks(codes: Tensor, exponents: Tensor, block: Block, axis: int, width: int, dtype: torch.dtype) -> Tensor:
    """The tensor of these codes and exponent bytes."""
    if codes.numel() == 0:
        return torch.empty(codes.shape, dtype=dtype, device=codes.device)
    table = magnitudes(block.element).to(codes.device)
    sign = 1 << (width - 1)
    negative = (codes & sign) != 0
    if block.element.signed_zero:
        v = table[(codes & (sign - 1)).long()]
    else:
        v = table[torch.where(negative, 2 * sign - codes, codes).long()]
    v = around(torch.where(negative, -v, v), axis)
    scale = power_of_two(exponents.int() - BIAS)
    out = v.mul_(spread_scales(scale, block, v.shape[1])).view(codes.shape)
    return out if dtype == torch.float64 else narrow(out.float(), dtype)
