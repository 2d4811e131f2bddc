"""A range that was found once and stays: what a loaded model has in place of one that follows from statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from engine.errors import RunError
from engine.ranges.base import UNSEEN, Range

if TYPE_CHECKING:
    from engine.formats import Format


class Fixed(Range):
    """``low``, ``high``: one for the tensor, in any float dtype; NaN where nothing was seen."""

    low: Tensor
    high: Tensor
    keeps: ClassVar[bool] = True

    def __init__(self, low: Tensor, high: Tensor) -> None:
        super().__init__()
        self.register_buffer("low", low)
        self.register_buffer("high", high)

    def forward(
        self, x: Tensor, format: Format, axis: int | None = None, kept: Tensor | None = None, zeros: int = 0
    ) -> Any:
        if bool(self.low.isnan()):
            raise RunError(f"the range {UNSEEN}")
        return (self.low.item(), self.high.item()) if x.device.type == "cpu" else (self.low, self.high)

    def ends(self, format: Format) -> tuple[Tensor, Tensor] | None:
        return self.low, self.high

    def fix(self, low: Tensor, high: Tensor) -> Range:
        return Fixed(low, high)
