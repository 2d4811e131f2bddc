"""Tensors as the integers that hardware sees: codes, and what makes numbers of them.

grid      value = scale·(code + offset) + low            integer formats, learned steps and bits
blocks    value = code·2^(exponent + quantum)            a shared exponent for each box along the axis (MSFP, MX)
levels    value = scale·sign(code)·levels[|code|]        log and APoT formats
bits      the float's own bit pattern                    fp16, bf16
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.formats.block import BlockFormat
from engine.formats.encoded import Encoded
from engine.formats.grid import GridFormat
from engine.formats.levels import LevelFormat
from engine.kernels.bitplanes import unpack
from engine.kernels.block_codes import BIAS, magnitudes
from engine.learned_bits import NodeBits
from engine.live import ByBucket

EXACT = 2.0**53
"""Sums of integers below it are exact in float64, which is what multiplies them."""


class NoCodesError(Exception):
    """A tensor has no integers, for the reason in words."""


@dataclass(frozen=True)
class Codes:
    """int64 codes of the tensor's shape; ``scale``, ``offset``, ``low``: float64, one or broadcasting over it."""

    values: np.ndarray
    kind: str
    scale: np.ndarray | None = None
    offset: np.ndarray | None = None
    low: np.ndarray | None = None
    exponents: np.ndarray | None = None
    """int64, of the tensor's shape with one for each box along the axis."""
    quantum: int = 0
    box: int = 0
    axis: int = -1
    levels: tuple[float, ...] = ()

    @property
    def scales(self) -> tuple[int, ...]:
        """The shape of the scales: () for one."""
        return () if self.scale is None else self.scale.shape

    @property
    def integers(self) -> np.ndarray | None:
        """code + offset, where the values are these times the scale; None where they are not."""
        if self.kind != "grid" or self.offset is None or self.low is None:
            return None
        if np.any(self.low) or np.any(self.offset != np.round(self.offset)):
            return None
        return self.values + self.offset.astype(np.int64)


def codes_of_encoded(packed: Encoded) -> Codes:
    """The codes of a packed tensor. Raises NoCodesError for fp32."""
    format, shape = packed.format, packed.shape
    if isinstance(format, GridFormat):
        low, high = format.range_from_metadata(packed.metadata)
        if packed.granularity == "tensor":
            low, high = float(low), float(high)
        grid = format.make_grid(low, high, packed.axis % max(len(shape), 1))
        codes = unpack(packed.codes, math.prod(shape)).view(shape).long() + int(grid.first)
        return Codes(codes.numpy(), "grid", _double(grid.c), _double(grid.d), _double(grid.m))
    if isinstance(format, BlockFormat):
        return _blocks(packed, format)
    if isinstance(format, LevelFormat):
        # A code is its level's place among all, from the least up.
        codes = unpack(packed.codes, math.prod(shape)).view(shape).long() - (len(format.magnitudes) - 1)
        largest = max(format.magnitudes)
        levels = tuple(level / largest for level in sorted(format.magnitudes))
        return Codes(codes.numpy(), "levels", _double(packed.metadata[0]), levels=levels)
    if format.name in ("fp16", "bf16"):
        return Codes(packed.codes.view(torch.int16).view(shape).numpy().view(np.uint16).astype(np.int64), "bits")
    raise NoCodesError("it is in fp32")


def _blocks(packed: Encoded, format: BlockFormat) -> Codes:
    element, width, shape = format.block.element, format.element_bits, packed.shape
    codes = unpack(packed.codes, math.prod(shape)).view(shape)
    sign = 1 << (width - 1)
    negative = (codes & sign) != 0
    places = codes & (sign - 1) if element.signed_zero else torch.where(negative, 2 * sign - codes, codes)
    quantum = element.emin - element.mantissa
    counts = (magnitudes(element) * 2.0**-quantum).long()[places.long()]
    values = torch.where(negative, -counts, counts)
    axis = packed.axis % len(shape)
    boxes = list(shape)
    boxes[axis] = -(-shape[axis] // format.box)
    exponents = (packed.metadata[0].long() - BIAS).view(boxes)
    return Codes(values.numpy(), "blocks", exponents=exponents.numpy(), quantum=quantum, box=format.box, axis=axis)


def _double(value: Any) -> np.ndarray:
    return torch.as_tensor(value, dtype=torch.float64).numpy()


def codes_of_activation(quantizer: nn.Module, x: Tensor, axis: int, buckets: Tensor | None) -> Codes:
    """What a quantizer has just made of x, as codes. ``buckets``: of x's rows. Raises NoCodesError."""
    if isinstance(quantizer, ByBucket):
        assert buckets is not None
        return _by_bucket(quantizer, x, axis, buckets)
    if isinstance(quantizer, NodeBits):
        codes, step = quantizer.codes(x)
        zero = np.zeros(())
        return Codes(codes.numpy(), "grid", _double(step.unsqueeze(1)), zero, zero)
    if not hasattr(quantizer, "encode"):
        raise NoCodesError(f"its quantizer, {type(quantizer).__name__}, gives no codes")
    packed: Encoded = quantizer.encode(x.detach(), axis, again=True)  # pyright: ignore[reportCallIssue]
    return codes_of_encoded(packed)


def _by_bucket(quantizer: ByBucket, x: Tensor, axis: int, buckets: Tensor) -> Codes:
    column = (len(x), *[1] * (x.dim() - 1))
    values = np.zeros(tuple(x.shape), dtype=np.int64)
    scale, offset, low = (np.zeros(column) for _ in range(3))
    seen = np.zeros(len(x), dtype=bool)
    for number, part in zip(quantizer.buckets, quantizer.parts, strict=True):
        rows = (buckets == number).nonzero().squeeze(1)
        if not rows.numel():
            continue
        found = codes_of_activation(part, x[rows], axis, None)
        if found.kind != "grid":
            raise NoCodesError("its degree buckets have formats of several kinds")
        at = rows.numpy()
        values[at], seen[at] = found.values, True
        for whole, own in ((scale, found.scale), (offset, found.offset), (low, found.low)):
            assert own is not None
            whole[at] = own
    if not seen.all():
        raise NoCodesError("some of its degree buckets are in fp32")
    return Codes(values, "grid", scale, offset, low)


def matmul(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The exact integers x·weightᵀ: [rows, inputs], [outputs, inputs] → [rows, outputs].

    Raises NoCodesError where they may exceed 2^53.
    """
    largest = float(np.abs(x).max(initial=0)) * float(np.abs(weight).max(initial=0)) * max(x.shape[1], 1)
    if largest >= EXACT:
        raise NoCodesError("its sums may exceed 2^53")
    return (x.astype(np.float64) @ weight.astype(np.float64).T).astype(np.int64)


def matmul_boxes(x: Codes, weight: Codes) -> np.ndarray:
    """The exact integers of each box, [rows, outputs, boxes], of operands that share exponents along their inputs.

    x·weightᵀ = Σ over boxes of them times 2^(exponent of x + exponent of the weight + both quanta). Raises
    NoCodesError where the boxes are not the same.
    """
    last = x.values.ndim - 1
    if (x.box, x.axis, weight.axis) != (weight.box, last, last):
        raise NoCodesError("its operands do not share exponents over the same boxes")
    inputs, box = x.values.shape[-1], x.box
    starts = range(0, inputs, box)
    sums = [matmul(x.values[:, a : a + box], weight.values[:, a : a + box]) for a in starts]
    return np.stack(sums, axis=2)
