"""The counter-based hash of engine.randomness, inline for numba kernels."""

from __future__ import annotations

import numba
import numpy as np

from engine.randomness import GOLDEN, MIX_1, MIX_2

_GOLDEN, _MIX_1, _MIX_2 = np.uint32(GOLDEN), np.uint32(MIX_1), np.uint32(MIX_2)
_13, _16, _8 = np.uint32(13), np.uint32(16), np.uint32(8)
_SCALE = np.float32(2.0**-24)
_STEP = np.uint64(0x9E3779B97F4A7C15)
_SPLIT_1, _SPLIT_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)


@numba.njit(inline="always")
def splitmix(state, number):
    """The ``number``-th 64 bits (from 1) of splitmix64 from a uint64 state; engine.randomness has it in Python."""
    state = np.uint64(state + np.uint64(number) * _STEP)
    state = np.uint64((state ^ (state >> _30)) * _SPLIT_1)
    state = np.uint64((state ^ (state >> _27)) * _SPLIT_2)
    return np.uint64(state ^ (state >> _31))


@numba.njit(inline="always")
def _fmix32(h):
    h ^= h >> _16
    h = np.uint32(h * _MIX_1)
    h ^= h >> _13
    h = np.uint32(h * _MIX_2)
    h ^= h >> _16
    return h


@numba.njit(inline="always")
def finish_hash(h, second):
    """u from index·φ + first key."""
    h = _fmix32(_fmix32(h) ^ second)
    # By way of int32: 24 bits fit, and its conversion to float is one instruction where uint32's is several.
    return np.float32(np.int32(h >> _8)) * _SCALE


@numba.njit(inline="always")
def hash_uniform(index, first, second):
    """u in [0, 1) of one element; ``first`` and ``second`` are the uint32 keys of ``make_key``."""
    return finish_hash(np.uint32(np.uint32(np.uint32(index) * _GOLDEN) + first), second)
