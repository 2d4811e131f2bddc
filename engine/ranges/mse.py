"""mse: the range shrunk by 1.00, 0.99, … 0.20, whichever has the least squared error; as a moving average."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from engine.errors import InputError
from engine.ranges.base import StatefulRange, follow, measure_extremes
from engine.ranges.percentile import take_sample

if TYPE_CHECKING:
    from engine.formats import Format

FACTORS = tuple(1 - i / 100 for i in range(81))
SAMPLE = 1 << 14


class Mse(StatefulRange):
    """``sample``: how many elements, at even distances, the error is measured on."""

    counts_zeros: ClassVar[bool] = False
    stale: Tensor

    def __init__(self, momentum: float = 0.01, sample: int = SAMPLE) -> None:
        super().__init__()
        self.momentum, self.sample = momentum, sample
        self.register_buffer("stale", torch.tensor(False))

    def measure(
        self, x: Tensor, format: Format, axis: int | None, kept: Tensor | None, zeros: int = 0
    ) -> tuple[Tensor, Tensor]:
        if axis is not None:
            raise InputError("the mse range is one a tensor: choose the granularity tensor")
        if kept is not None:
            x = x[kept]
        low, high = measure_extremes(x, None)
        if x.numel() == 0:
            return low, high
        some = take_sample(x, self.sample)
        errors = [
            (format.fake_quantize(some, range=(low * factor, high * factor)) - some).double().square().mean()
            for factor in FACTORS
        ]
        best = torch.stack(errors).argmin().view(1)
        factor = torch.tensor(FACTORS, device=x.device).gather(0, best).view(())
        return low * factor, high * factor

    def update(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        fresh = self.stale & ~low.isnan()
        moved = follow(self.low, low, self.momentum), follow(self.high, high, self.momentum)
        self.stale = self.stale & ~fresh
        return torch.where(fresh, low, moved[0]), torch.where(fresh, high, moved[1])

    def switch(self, old: Format, new: Format) -> None:
        """The best range for other bits is another one: the next tensor of training sets it, and till then this one
        does."""
        self.stale.fill_(True)

    def extra_repr(self) -> str:
        return f"momentum={self.momentum}, sample={self.sample}"
