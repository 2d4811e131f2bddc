"""Dropout whose mask is hashed, never stored: the backward pass hashes it again."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.kernels.hashing import hash_uniform
from engine.kernels.jit import kernel
from engine.randomness import Key, uniform


@kernel
def _drop(x, out, rate, scale, first, second):
    for i in range(x.size):
        value = x[i] * scale  # outside of the choice, which is then no branch
        out[i] = value if hash_uniform(i, first, second) >= rate else np.float32(0)


@kernel
def _drop_in_place(x, start, rate, scale, first, second):
    for i in range(x.size):
        value = x[i] * scale
        x[i] = value if hash_uniform(start + i, first, second) >= rate else np.float32(0)


def drop_in_place(x: Tensor, start: int, rate: float, key: Key) -> None:
    """``drop`` of a part of a tensor, float32 on the CPU, whose first element has the number ``start``, in place."""
    scale = np.float32(1 / (1 - rate))
    keys = np.uint32(key.first), np.uint32(key.second)
    _drop_in_place(x.view(-1).numpy(), start, np.float32(rate), scale, *keys)


def drop(x: Tensor, rate: float, key: Key) -> Tensor:
    """x·1/(1−rate) where u ≥ rate, else 0; any shape, float32, without gradient.

    u = hash(key, element index) in row-major order, so the same key gives the same mask.
    """
    scale = np.float32(1 / (1 - rate))
    if x.is_cuda:
        return torch.where(uniform(key, tuple(x.shape), str(x.device)) >= rate, x * float(scale), 0.0)
    source = x.detach().contiguous()
    out = torch.empty_like(source)
    _drop(
        source.view(-1).numpy(),
        out.view(-1).numpy(),
        np.float32(rate),
        scale,
        np.uint32(key.first),
        np.uint32(key.second),
    )
    return out
