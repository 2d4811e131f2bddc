"""min-max: the range of the tensor at hand, in training and in evaluation. Nothing is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from engine.kernels.range import observe
from engine.ranges.base import Range, include_zero, measure_extremes

if TYPE_CHECKING:
    from engine.formats import Format


class MinMax(Range):
    counts_zeros: ClassVar[bool] = True

    def forward(
        self, x: Tensor, format: Format, axis: int | None = None, kept: Tensor | None = None, zeros: int = 0
    ) -> Any:
        if kept is None and not zeros:
            return observe(x, axis)
        low, high = include_zero(*measure_extremes(x.detach(), axis, kept), zeros)
        # Where no row counts, none is quantized either: any range will do.
        low, high = low.nan_to_num(0.0), high.nan_to_num(0.0)
        return (low.item(), high.item()) if axis is None and x.device.type == "cpu" else (low, high)
