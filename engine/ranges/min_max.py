"""min-max: the range of the tensor at hand, in training and in evaluation. Nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from engine.kernels.range import observe
from engine.ranges.base import Range, measure_extremes

if TYPE_CHECKING:
    from engine.formats import Format


class MinMax(Range):
    def forward(self, x: Tensor, format: Format, axis: int | None = None, kept: Tensor | None = None) -> Any:
        if kept is None:
            return observe(x, axis)
        low, high = measure_extremes(x.detach(), axis, kept)
        # Where no row counts, none is quantized either: any range will do.
        low, high = low.nan_to_num(0.0), high.nan_to_num(0.0)
        return (low.item(), high.item()) if axis is None and x.device.type == "cpu" else (low, high)
