"""running: the least and the largest value seen so far; ema: their moving average, r ← r + 0.01·(v − r)."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.ranges.base import StatefulRange, follow


class Running(StatefulRange):
    def update(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        return torch.fmin(self.low, low), torch.fmax(self.high, high)


class Ema(StatefulRange):
    """The first measurement is taken as it is."""

    def __init__(self, momentum: float = 0.01) -> None:
        super().__init__()
        self.momentum = momentum

    def update(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        return follow(self.low, low, self.momentum), follow(self.high, high, self.momentum)

    def extra_repr(self) -> str:
        return f"momentum={self.momentum}"
