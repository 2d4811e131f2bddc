"""Non-uniform levels: x̂ = c·(the level next to x/c), levels ascending, symmetric about 0, float64 throughout.

Nearest: a tie goes to the level whose place, counted from 0, is even, on either side alike. Floor: the
level below. Stochastic: the level above with the probability of the fraction of the way.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.kernels.finite import NonFiniteError, check_bits
from engine.kernels.hashing import hash_uniform
from engine.kernels.jit import kernel
from engine.kernels.layout import around, chunks, narrow
from engine.kernels.rounding import Rounding, hash_torch
from engine.kernels.threads import split

MAGNITUDE = np.int32(0x7FFFFFFF)


@dataclass(frozen=True)
class Levels:
    """The non-negative levels, ascending from 0 to 1."""

    magnitudes: tuple[float, ...]

    @cached_property
    def values(self) -> np.ndarray:
        """All levels, ascending."""
        positive = list(self.magnitudes[1:])
        return np.array([*(-value for value in reversed(positive)), 0.0, *positive])

    @cached_property
    def middles(self) -> np.ndarray:
        """Thresholds: the level's place is the number of those that x/c exceeds."""
        up: list[float] = []
        down: list[float] = []
        for place, (low, high) in enumerate(zip(self.magnitudes, self.magnitudes[1:], strict=False), start=1):
            middle = (low + high) / 2
            even = place % 2 == 0
            up.append(math.nextafter(middle, -math.inf) if even else middle)
            down.append(-middle if even else math.nextafter(-middle, -math.inf))
        return np.array([*reversed(down), *up])

    @cached_property
    def floors(self) -> np.ndarray:
        """Thresholds for the level below."""
        return np.nextafter(self.values[1:], -np.inf)


def make_levels(magnitudes: Sequence[float]) -> Levels:
    """Levels from non-negative numbers in any proportion; the largest becomes 1."""
    ordered = sorted(set(magnitudes) | {0.0})
    return Levels(tuple(value / ordered[-1] for value in ordered))


@kernel
def _quantize(x, bits, out, start, divisor, c, values, thresholds, key):
    worst = np.int32(0)
    last = values.size - 1
    for i in range(x.size):
        t = np.float64(x[i]) / divisor
        place = 0
        for j in range(thresholds.size):
            place += np.int64(t > thresholds[j])
        if key is not None:
            above = min(place + 1, last)
            if above > place:
                part = max((t - values[place]) / (values[above] - values[place]), 0.0)
                # A comparison, not a conversion: NaN (refused afterwards) must not become a place.
                place += np.int64(part + np.float64(hash_uniform(start + i, key[0], key[1])) >= 1.0)
        out[i] = values[place] * c + 0.0
        worst = max(worst, np.int32(bits[i] & MAGNITUDE))
    return worst


def quantize_levels(x: Tensor, levels: Levels, reach: Any, axis: int, rounding: Rounding) -> Tensor:
    """x̂ of x's shape, dtype and device; ``reach`` is the largest level: a float, or a tensor a line along ``axis``.

    Raises NonFiniteError where x is on the CPU and holds NaN or infinity.
    """
    if x.dtype in (torch.float16, torch.bfloat16):
        return narrow(quantize_levels(x.float(), levels, reach, axis, rounding), x.dtype)
    x = x.detach().contiguous()
    out = torch.empty_like(x)
    if x.numel() == 0:
        return out
    if x.device.type == "cpu" and x.dtype == torch.float32 and isinstance(reach, float):
        flat, into = x.view(-1).numpy(), out.view(-1).numpy()
        bits = flat.view(np.int32)
        thresholds = levels.middles if rounding.mode == "nearest" else levels.floors
        key = rounding.kernel_arguments[1]
        settings = (reach or math.inf, reach, levels.values, thresholds, key)

        def run(a: int, z: int) -> int:
            return _quantize(flat[a:z], bits[a:z], into[a:z], a, *settings)

        check_bits(max(split(x.numel(), x.numel(), run)), x)
        return out
    if x.device.type == "cpu" and not bool(torch.isfinite(torch.stack(torch.aminmax(x))).all()):
        raise NonFiniteError(x)
    return plain_levels(x, out, levels, reach, axis, rounding)


def plain_levels(
    x: Tensor,
    out: Tensor,
    levels: Levels,
    reach: Any,
    axis: int,
    rounding: Rounding,
    *,
    codes: bool = False,
    poison: bool | None = None,
) -> Tensor:
    """The definition in torch, on any device; ``codes`` and ``poison`` as in plain_grid."""
    poison = x.device.type != "cpu" if poison is None else poison
    many = isinstance(reach, Tensor) and reach.dim() > 0
    source, target = (around(x, axis), around(out, axis)) if many else (x.view(1, -1, 1), out.view(1, -1, 1))
    c = reach.double().reshape(source.shape[0], 1, source.shape[2]) if many else reach
    values = torch.from_numpy(levels.values).to(x.device)
    nearest = rounding.mode == "nearest"
    thresholds = torch.from_numpy(levels.middles if nearest else levels.floors).to(x.device)
    for o, r, start in chunks(tuple(source.shape), x.device.type):  # pyright: ignore[reportArgumentType]
        scale = c[o] if many else torch.as_tensor(c, dtype=torch.float64, device=x.device)
        t = source[o, r].double() / torch.where(scale == 0, math.inf, scale)
        place = torch.searchsorted(thresholds, t.contiguous())
        if rounding.mode == "stochastic":
            assert rounding.key is not None
            above = (place + 1).clamp_(max=len(values) - 1)
            low = values[place]
            gap = torch.where(above > place, values[above] - low, 1.0)
            part = ((t - low) / gap).clamp_(min=0)
            place = torch.where(part.add_(hash_torch(start, part, rounding.key)) >= 1, above, place)
        if codes:
            target[o, r] = place.to(target.dtype)
            continue
        v = values[place] * scale + 0.0
        target[o, r] = v.add_(source[o, r], alpha=0) if poison else v
    return out


def dequantize_levels(codes: Tensor, levels: Levels, reach: Tensor, axis: int, dtype: torch.dtype) -> Tensor:
    """x̂ from the levels' places."""
    many = reach.dim() > 0
    source = around(codes.contiguous(), axis) if many else codes.reshape(1, -1, 1)
    scale = reach.double().reshape(source.shape[0], 1, source.shape[2]) if many else reach.double()
    v = torch.from_numpy(levels.values).to(codes.device)[source.long()] * scale + 0.0
    v = v.view(codes.shape)
    return v if dtype == torch.float64 else narrow(v.float(), dtype)
