"""Rounding a scaled value to a code: nearest (ties to even), floor, or stochastic, in numba and in torch.

Stochastic: SR(t) = floor(t + u), u = hash(key, element index in row-major order), the sum in
float64, where it is exact for every code of up to 29 bits: a value that already is a code stays.

In kernels the mode is a matter of types, so that each compiles to its own loop: ``u`` is None or the
hashed numbers of a short segment, ``floor`` None or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.errors import InputError
from engine.kernels.hashing import finish_hash
from engine.kernels.jit import kernel
from engine.randomness import GOLDEN, MIX_1, MIX_2, Key

MODES = ("nearest", "floor", "stochastic")
_U32 = (1 << 32) - 1
_GOLDEN = np.uint32(GOLDEN)


@dataclass(frozen=True)
class Rounding:
    """A mode and, for stochastic rounding, the key of the draw."""

    mode: str = "nearest"
    key: Key | None = None

    @property
    def kernel_arguments(self) -> tuple[Any, Any]:
        """(floor, key) as the kernels take them."""
        if self.mode == "stochastic":
            assert self.key is not None
            return None, (np.uint32(self.key.first), np.uint32(self.key.second))
        return (1 if self.mode == "floor" else None), None


NEAREST = Rounding()


def make_rounding(mode: str, generator: Key | None) -> Rounding:
    """The rounding of this name. Raises InputError for another name, or stochastic without a generator."""
    if mode == "nearest":
        return NEAREST
    if mode not in MODES:
        raise InputError(f"unknown rounding {mode!r}: allowed are {', '.join(MODES)}")
    if mode == "stochastic" and generator is None:
        raise InputError(
            "stochastic rounding needs a generator: give one by engine.randomness.make_key(seed, stream, step)"
        )
    return Rounding(mode, generator)


SEGMENT = 512
"""Elements that a kernel hashes at a time, ahead of rounding them: both loops vectorize."""


@kernel
def fill_uniform(u, start, key):
    """u[i] = hash(key, start + i): ``hash_uniform``, with the index's product as a running sum."""
    base = np.uint32(np.uint32(np.uint32(start) * _GOLDEN) + key[0])
    for i in range(u.size):
        u[i] = finish_hash(np.uint32(base + np.uint32(np.uint32(i) * _GOLDEN)), key[1])


@kernel
def clamp(value, least, most):
    """value within [least, most]; NaN stays. Comparisons, which are one instruction each where min and max are not."""
    value = least if value < least else value
    return most if value > most else value


@kernel
def round_code(t, u, i, floor):
    if u is not None:
        return np.floor(t + np.float64(u[i]))
    if floor is not None:
        return np.floor(t)
    return np.rint(t)


def round_(t: Tensor, rounding: Rounding, index: Tensor | int) -> Tensor:
    """Round float64 ``t`` in place; ``index`` numbers its elements: a tensor of its shape, or the first's number."""
    if rounding.mode == "nearest":
        return t.round_()
    if rounding.mode == "floor":
        return t.floor_()
    assert rounding.key is not None
    return t.add_(hash_torch(index, t, rounding.key)).floor_()


def hash_torch(index: Tensor | int, like: Tensor, key: Key) -> Tensor:
    """u of each element, float64, of ``like``'s shape: the same bits as ``hash_uniform``, on any device."""
    if isinstance(index, int):
        index = torch.arange(index, index + like.numel(), device=like.device).view(like.shape)
    h = index.mul(GOLDEN).add_(key.first).bitwise_and_(_U32)
    h = _fmix32(_fmix32(h).bitwise_xor_(key.second))
    return h.bitwise_right_shift_(8).double().mul_(2.0**-24)


def _fmix32(h: Tensor) -> Tensor:
    h.bitwise_xor_(h >> 16).mul_(MIX_1).bitwise_and_(_U32)
    h.bitwise_xor_(h >> 13).mul_(MIX_2).bitwise_and_(_U32)
    return h.bitwise_xor_(h >> 16)
