"""Seeing a contiguous tensor as [outer, length, inner] about one axis, and walking it in chunks."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

CHUNK = {"cpu": 1 << 14, "cuda": 1 << 22}
"""Elements that the plain forms hold in float64 at a time: within a cache, or a launch that is worth it."""


def around(x: Tensor, axis: int) -> Tensor:
    """x [..., length, ...] contiguous → a view [outer, length, inner] with ``axis`` in the middle."""
    axis = axis % x.dim() if x.dim() else 0
    shape = x.shape or (1,)
    return x.view(math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :]))


def chunks(shape: tuple[int, int, int], device: str, multiple: int = 1) -> Iterator[tuple[slice, slice, int]]:
    """Parts of [outer, length, inner], contiguous each: (outer's slice, length's slice, first element's number).

    Along the length, parts begin at multiples of ``multiple``.
    """
    outer, length, inner = shape
    most = CHUNK.get(device, CHUNK["cuda"])
    if outer > 1 and length * inner <= most:
        size = max(1, most // max(length * inner, 1))
        for a in range(0, outer, size):
            yield slice(a, min(a + size, outer)), slice(None), a * length * inner
        return
    size = max(1, most // max(inner, 1) // multiple) * multiple
    for o in range(outer):
        for a in range(0, length, size):
            yield slice(o, o + 1), slice(a, min(a + size, length)), (o * length + a) * inner


def narrow(out: Tensor, dtype: torch.dtype) -> Tensor:
    """A float32 or float64 result in its final type, held at that type's largest value. May work in place."""
    if out.dtype == dtype:
        return out
    largest = torch.finfo(dtype).max
    return out.clamp_(-largest, largest).to(dtype)
