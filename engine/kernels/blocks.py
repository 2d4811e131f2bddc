"""Block formats: a box of values along an axis shares a power-of-two scale; elements are small floats.

scale exponent X = clamp(floor(log2 max|x|) − emax, −127, 127); v = x·2^(−X); v is rounded to a multiple of
2^(max(floor(log2|v|), emin) − M) and clamped to ±maximum; x̂ = v̂·2^X. MSFP and MXINT8 are the case of
a fixed step, where every v is "subnormal": emin = 0 and maximum = (2^m − 1)·2^(1−m) (METHODS §1).

All arithmetic is float64, where scaling by these powers of two is exact. float32 tensors on the CPU take
the kernels of blocks_cpu, all others the plain form below: the same bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.kernels.finite import NonFiniteError, check_bits
from engine.kernels.layout import around, chunks, narrow
from engine.kernels.rounding import Rounding, round_
from engine.kernels.threads import split

LEAST, MOST = -127, 127
"""Bounds of a shared exponent, which is kept in a byte."""


@dataclass(frozen=True)
class Element:
    """A small float: M mantissa bits, least normal 2^emin, largest magnitude.

    ``floating=False``: all of it has the step 2^(emin − M). ``signed_zero=False``: −0 becomes +0.
    """

    mantissa: int
    emin: int
    maximum: float
    floating: bool = True
    signed_zero: bool = True

    @cached_property
    def kernel_arguments(self) -> tuple[Any, ...]:
        """(steps, maximum, zero, least, drop) as the kernels of blocks_cpu take them."""
        if self.floating:
            least, drop = np.int64((self.emin + 1023) << 52), np.int64(self.mantissa << 52)
            return np.int64(0), float(self.maximum), -0.0, least, drop
        steps = self.mantissa - self.emin
        zero = -0.0 if self.signed_zero else 0.0
        return np.int64(steps), float(self.maximum * 2.0**steps), zero, None, None

    @cached_property
    def single_arguments(self) -> tuple[Any, ...]:
        """(maximum, zero, least, drop, bits of the margin) as blocks_single takes them."""
        _, maximum, zero, least, _ = self.kernel_arguments
        largest_code = 2.0 ** (self.mantissa + 1) if self.floating else maximum
        touch = np.float32((largest_code + 2) * 2.0**-22).view(np.int32)
        fields = (None, None)
        if least is not None:
            fields = np.int32((self.emin + 127) << 23), np.int32(self.mantissa << 23)
        return np.float32(maximum), np.float32(zero), *fields, touch

    def round_(self, v: Tensor, rounding: Rounding, start: int, *, clamp: bool = True) -> Tensor:
        """Round float64 ``v`` in place; ``start`` is the number of its first element."""
        if self.floating:
            exponent = torch.frexp(v).exponent.sub_(1).clamp_(min=self.emin).sub_(self.mantissa)
            step = power_of_two(exponent)
            round_(v.div_(step), rounding, start).mul_(step)
        else:
            round_(v.mul_(2.0 ** (self.mantissa - self.emin)), rounding, start).mul_(2.0 ** (self.emin - self.mantissa))
        if clamp:
            v.clamp_(-self.maximum, self.maximum)
        return v if self.signed_zero or not clamp else v.add_(0.0)


@dataclass(frozen=True)
class Block:
    """Boxes of ``box`` values with the elements ``element``; ``emax`` is the exponent of their largest.

    ``thesis``: ceil(log2 max) − 1 in place of floor(log2 max), as in [T]'s code.
    """

    box: int
    element: Element
    emax: int = 0
    thesis: bool = False


def quantize_blocks(x: Tensor, block: Block, axis: int, rounding: Rounding) -> Tensor:
    """x̂ of x's shape, dtype and device, boxes along ``axis``, the last one perhaps short.

    Raises NonFiniteError where x is on the CPU and holds NaN or infinity.
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        return narrow(quantize_blocks(x.float(), block, axis, rounding), x.dtype)
    x = x.detach().contiguous()
    out = torch.empty_like(x)
    if x.numel() == 0:
        return out
    if x.device.type == "cpu" and x.dtype == torch.float32:
        check_bits(_quantize_cpu(around(x, axis), around(out, axis), block, rounding), x)
        return out
    return plain_blocks(x, out, block, axis, rounding)


def plain_blocks(
    x: Tensor, out: Tensor, block: Block, axis: int, rounding: Rounding, *, poison: bool | None = None
) -> Tensor:
    """The definition in torch, on any device, without waiting for it.

    ``poison``: a box with NaN or infinity comes out as NaN, instead of raising; by default off the CPU.
    """
    poison = x.device.type != "cpu" if poison is None else poison
    source, target = around(x, axis), around(out, axis)
    for o, r, start in chunks(tuple(source.shape), x.device.type, block.box):  # pyright: ignore[reportArgumentType]
        part = source[o, r]
        scale = box_scales(part, block)
        if not poison and bool(scale.isnan().any()):
            raise NonFiniteError(x)
        scale = spread_scales(scale, block, part.shape[1])
        # The subtrahend-free product makes the buffer; rounding and scaling back work on it in place.
        v = block.element.round_(part.double() / scale, rounding, start)
        target[o, r] = v.mul_(scale)
    return out


def box_exponents(part: Tensor, block: Block) -> tuple[Tensor, Tensor]:
    """(X as int32, whether the box is finite) of each box: [outer, length, inner] → [outer, boxes, inner]."""
    length = part.shape[1]
    whole = length - length % block.box
    largest: list[Tensor] = []
    if whole:
        low, high = torch.aminmax(part[:, :whole].unflatten(1, (-1, block.box)), dim=2)
        largest.append(torch.maximum(high, -low))
    if whole < length:
        low, high = torch.aminmax(part[:, whole:], dim=1, keepdim=True)
        largest.append(torch.maximum(high, -low))
    most = torch.cat(largest, 1).double()
    fraction, exponent = torch.frexp(most)
    exponent = exponent - 1 - (fraction == 0.5).int() if block.thesis else exponent - 1
    exponent = torch.where(most == 0, LEAST, exponent - block.emax)
    return exponent.clamp_(LEAST, MOST), torch.isfinite(most)


def box_scales(part: Tensor, block: Block) -> Tensor:
    """2^X of each box as float64, NaN where the box holds NaN or infinity."""
    exponent, finite = box_exponents(part, block)
    return torch.where(finite, power_of_two(exponent), torch.nan)


def spread_scales(scale: Tensor, block: Block, length: int) -> Tensor:
    """A box's value for each of its elements: [outer, boxes, inner] → [outer, length, inner]."""
    return scale.repeat_interleave(block.box, dim=1, output_size=scale.shape[1] * block.box)[:, :length]


def count_saturated(x: Tensor, block: Block, axis: int, rounding: Rounding) -> Tensor:
    """How many elements are clamped, as an int64 tensor without dimensions."""
    source = around(x.detach().contiguous(), axis)
    if (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and not block.element.floating
        and rounding.mode == "nearest"
    ):
        from engine.kernels.blocks_cpu import count_clamped

        steps, maximum, *_ = block.element.kernel_arguments
        values = source.numpy()
        settings = (block.box, np.int64(block.emax), steps, maximum, 1 if block.thesis else None)
        return torch.tensor(count_clamped(values, values.view(np.int32), *settings))
    count = torch.zeros((), dtype=torch.int64, device=x.device)
    for o, r, start in chunks(tuple(source.shape), x.device.type, block.box):  # pyright: ignore[reportArgumentType]
        part = source[o, r]
        scale = spread_scales(box_scales(part, block), block, part.shape[1])
        v = block.element.round_(part.double() / scale, rounding, start, clamp=False)
        count += (v.abs() > block.element.maximum).sum()
    return count


def power_of_two(exponent: Tensor) -> Tensor:
    return (exponent.long() + 1023).bitwise_left_shift_(52).view(torch.float64)


def _quantize_cpu(x: Tensor, out: Tensor, block: Block, rounding: Rounding) -> int:
    from engine.kernels import blocks_cpu

    floor, key = rounding.kernel_arguments
    steps, *element = block.element.kernel_arguments
    settings = (block.box, np.int64(block.emax), steps, *element, 1 if block.thesis else None, floor, key)
    settings = (*settings, block.element.single_arguments)
    source, target = x.numpy(), out.numpy()
    outer, length, inner = source.shape
    if inner == 1:
        if length % block.box == 0:  # no box crosses a row's end: one long row costs least
            return _quantize_row_cpu(source.reshape(-1), target.reshape(-1), settings)
        if length < block.box:  # each row is a box, and again they make one long row
            return _quantize_row_cpu(source.reshape(-1), target.reshape(-1), (length, *settings[1:]))
        rows, into = source[..., 0], target[..., 0]
        bits = rows.view(np.int32)

        def run(a: int, z: int) -> int:
            return blocks_cpu.quantize_boxes(rows[a:z], bits[a:z], into[a:z], a * length, *settings)

        return max(split(outer, x.numel(), run))
    if outer > 1:
        bits = source.view(np.int32)

        def run_outer(a: int, z: int) -> int:
            begin = a * length * inner
            return blocks_cpu.quantize_box_columns(source[a:z], bits[a:z], target[a:z], begin, *settings)

        return max(split(outer, x.numel(), run_outer))
    bits = source.view(np.int32)
    boxes = -(-length // block.box)

    def run_boxes(a: int, z: int) -> int:
        a, z = a * block.box, min(z * block.box, length)
        part = source[:, a:z], bits[:, a:z], target[:, a:z]
        return blocks_cpu.quantize_box_columns(*part, a * inner, *settings)

    return max(split(boxes, x.numel(), run_boxes))


def _quantize_row_cpu(row: Any, into: Any, settings: tuple[Any, ...]) -> int:
    from engine.kernels import blocks_cpu

    bits = row.view(np.int32)
    box = settings[0]

    def run(a: int, z: int) -> int:
        part = slice(a * box, z * box)
        return blocks_cpu.quantize_boxes(row[None, part], bits[None, part], into[None, part], a * box, *settings)

    return max(split(len(row) // box, len(row), run))


def quantize_elements(x: Tensor, element: Element, rounding: Rounding) -> Tensor:
    """Every element rounded by itself, without a shared scale (fp16, bf16): x's shape, dtype and device."""
    if x.dtype in (torch.float16, torch.bfloat16):
        return narrow(quantize_elements(x.float(), element, rounding), x.dtype)
    x = x.detach().contiguous()
    out = torch.empty_like(x)
    if x.numel() == 0:
        return out
    source, target = x.view(-1), out.view(-1)
    if x.device.type == "cpu" and x.dtype == torch.float32:
        from engine.kernels import blocks_cpu

        floor, key = rounding.kernel_arguments
        _, maximum, _, least, drop = element.kernel_arguments
        flat, into = source.numpy(), target.numpy()
        bits = flat.view(np.int32)

        def run(a: int, z: int) -> int:
            return blocks_cpu.quantize_elements(flat[a:z], bits[a:z], into[a:z], a, maximum, least, drop, floor, key)

        check_bits(max(split(x.numel(), x.numel(), run)), x)
        return out
    if x.device.type == "cpu" and not bool(torch.isfinite(torch.stack(torch.aminmax(x))).all()):
        raise NonFiniteError(x)
    return plain_elements(x, out, element, rounding)


def plain_elements(
    x: Tensor, out: Tensor, element: Element, rounding: Rounding, *, poison: bool | None = None
) -> Tensor:
    """``quantize_elements`` in torch, on any device; ``poison`` as in plain_grid."""
    poison = x.device.type != "cpu" if poison is None else poison
    source, target = x.view(-1), out.view(-1)
    for _, r, start in chunks((1, x.numel(), 1), x.device.type):
        part = source[r].double()
        v = element.round_(part.clone() if part.data_ptr() == source[r].data_ptr() else part, rounding, start)
        target[r] = v.add_(source[r], alpha=0) if poison else v
    return out
