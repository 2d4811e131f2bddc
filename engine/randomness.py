"""Counter-based randomness: u = hash(seed, stream, step, element index).

The same bits in torch (CPU and CUDA) and numba, for any number of threads and any order of work,
with no noise tensor to keep: a backward pass hashes again what the forward pass hashed, and a
checkpoint holds the seed and the step only. ``stream`` names the use (see ``stream_id``).

Two 32-bit keys come from (seed, stream, step) by splitmix64 (Steele et al., OOPSLA 2014); element i
is fmix32(fmix32(i·φ + key₁) ⊕ key₂) with fmix32 of MurmurHash3. The second key keeps two streams from
being shifted copies of one another. u is the hash's upper 24 bits over 2^24, exact in float32.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_U64 = (1 << 64) - 1
_U32 = (1 << 32) - 1
GOLDEN = 0x9E3779B1
"""2^32 over the golden ratio, odd: consecutive indices land far apart."""
MIX_1, MIX_2 = 0x85EBCA6B, 0xC2B2AE35


@dataclass(frozen=True)
class Key:
    """The two 32-bit keys of one draw: equal (seed, stream, step), equal bits."""

    first: int
    second: int


def stream_id(name: str) -> int:
    """The number of a named stream ("dropout/0", "rounding/weight/1"): its CRC-32, the same everywhere."""
    return zlib.crc32(name.encode())


def _splitmix64(state: int) -> int:
    state = (state + 0x9E3779B97F4A7C15) & _U64
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & _U64
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & _U64
    return state ^ (state >> 31)


def make_key(seed: int, stream: int, step: int) -> Key:
    """The keys of a draw, from non-negative integers below 2^64."""
    state = _splitmix64(_splitmix64(_splitmix64(seed & _U64) ^ (stream & _U64)) ^ (step & _U64))
    return Key(state >> 32, state & _U32)


def uniform(key: Key, shape: tuple[int, ...], device: str = "cpu") -> Tensor:
    """u in [0, 1), float32, of this shape; element i is numbered in row-major order.

    The plain torch form (int64 arithmetic, so the same bits on CUDA); kernels hash inline instead.
    """
    import math

    import torch

    index = torch.arange(math.prod(shape), dtype=torch.int64, device=device)
    hashed = index.mul_(GOLDEN).add_(key.first).bitwise_and_(_U32)
    hashed = _fmix32(_fmix32(hashed).bitwise_xor_(key.second))
    return (hashed >> 8).to(torch.float32).mul_(2.0**-24).reshape(shape)


def _fmix32(h: Tensor) -> Tensor:
    h ^= h >> 16
    h = h.mul_(MIX_1).bitwise_and_(_U32)
    h ^= h >> 13
    h = h.mul_(MIX_2).bitwise_and_(_U32)
    h ^= h >> 16
    return h
