"""The range of a tensor: its least and its largest value, of the whole or of each line along an axis.

For one range on the CPU the two are Python floats, which are cheap; else float64-ready tensors, of the
tensor's shape with size 1 along the axis, and nothing waits for the device.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from engine.errors import InputError
from engine.kernels.finite import NonFiniteError


def observe(x: Tensor, axis: int | None = None) -> tuple[Any, Any]:
    """(min, max) of x, without sorting. Raises NonFiniteError where x is on the CPU and has NaN or infinity."""
    x = x.detach()
    if axis is None or x.dim() == 0:
        low, high = torch.aminmax(x)
        if x.device.type != "cpu":
            return low, high
        pair = low.item(), high.item()
        if not (math.isfinite(pair[0]) and math.isfinite(pair[1])):
            raise NonFiniteError(x)
        return pair
    low, high = torch.aminmax(x, dim=axis, keepdim=True)
    if x.device.type == "cpu" and not bool(torch.isfinite(low).all() & torch.isfinite(high).all()):
        raise NonFiniteError(x)
    return low, high


def read_range(range: Any, x: Tensor, axis: int | None) -> tuple[Any, Any]:
    """A range that was given: (low, high), numbers or tensors. Raises InputError where it is none for x."""
    try:
        low, high = range
    except (TypeError, ValueError):
        raise InputError("a range is a pair (low, high) of numbers or tensors") from None
    if axis is None:
        if x.device.type == "cpu":
            low, high = float(low), float(high)
            if not (math.isfinite(low) and math.isfinite(high)) or low > high:
                raise InputError(f"the range ({low:g}, {high:g}) is not one: low ≤ high, both finite, is needed")
            return low, high
        return tuple(torch.as_tensor(v, device=x.device).reshape(()) for v in (low, high))  # pyright: ignore[reportReturnType]
    shape = list(x.shape) or [1]
    shape[axis] = 1
    pair = [torch.as_tensor(value, device=x.device) for value in (low, high)]
    for value in pair:
        if value.numel() not in (1, math.prod(shape)):
            raise InputError(
                f"a range a line needs {math.prod(shape)} pairs for a tensor of shape {tuple(x.shape)} "
                f"along axis {axis}, not {value.numel()}"
            )
    return tuple(value.reshape(shape if value.numel() > 1 else [1] * len(shape)).expand(shape) for value in pair)  # pyright: ignore[reportReturnType]
