"""percentile: the k-th least and the k-th largest value, k = max(1, ⌊p·n⌋) [DQ].

p is the share of each tail: 0.001 for INT8, 0.01 for INT4 in [DQ]. ``keep``: "running" (least low and largest
high so far, [DQ]'s ``per`` modes), "ema", or "current". ``dq_percentile``: the high end is the ⌊(1−p)·n⌋-th
least value, as in [DQ]'s code. Where the tails swallow all that differs (p = 0.01 of features with 0.9 % non-zeros
leaves the range 0…0), the extremes are taken instead. A tensor of more than ``sample`` elements is sampled at
even distances.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from engine.errors import InputError
from engine.kernels.finite import NonFiniteError
from engine.kernels.order_statistics import every_nth_of_rows, order_statistics
from engine.ranges.base import StatefulRange, follow, include_zero, measure_extremes

if TYPE_CHECKING:
    from engine.formats import Format

SAMPLE = 1 << 18


class Percentile(StatefulRange):
    def __init__(
        self,
        p: float = 0.001,
        dq_percentile: bool = False,
        keep: str = "running",
        momentum: float = 0.01,
        sample: int = SAMPLE,
    ) -> None:
        super().__init__()
        self.p, self.dq_percentile, self.keep, self.momentum, self.sample = p, dq_percentile, keep, momentum, sample

    def measure(
        self, x: Tensor, format: Format, axis: int | None, kept: Tensor | None, zeros: int = 0
    ) -> tuple[Tensor, Tensor]:
        if zeros:
            assert axis is None, "zeros are counted for one range a tensor"
            return self._ends_beside_zeros(x if kept is None else x[kept], zeros)
        if kept is not None and axis == 0:
            raise InputError("the percentile range: lines along the rows cannot leave rows out")
        if axis is None:
            return self._ends(take_sample(x, self.sample) if kept is None else take_sample_of(x, kept, self.sample))
        low, high = self._lines(x, axis)
        if kept is not None:
            left_out = ~kept.view(-1, *[1] * (x.dim() - 1))
            low, high = low.masked_fill(left_out, torch.nan), high.masked_fill(left_out, torch.nan)
        return low.float(), high.float()

    def _ends(self, values: Tensor) -> tuple[Tensor, Tensor]:
        n = values.numel()
        if n == 0:
            nothing = torch.tensor(torch.nan, device=values.device)
            return nothing, nothing.clone()
        low_rank, high_rank = self.ranks(n)
        if values.device.type == "cpu":
            ends = order_statistics(values.float(), low_rank, high_rank)
            if ends is None:
                raise NonFiniteError(values)
            return (
                (torch.tensor(ends[0]), torch.tensor(ends[1])) if ends[0] != ends[1] else measure_extremes(values, None)
            )
        low, high = values.kthvalue(low_rank).values.float(), values.kthvalue(high_rank).values.float()
        least, most = torch.aminmax(values)
        return torch.where(low == high, least.float(), low), torch.where(low == high, most.float(), high)

    def _ends_beside_zeros(self, values: Tensor, zeros: int) -> tuple[Tensor, Tensor]:
        """The same of the values and as many zeros; nothing is sampled."""
        count = values.numel()
        if count and values.device.type == "cpu" and not bool(torch.isfinite(torch.stack(torch.aminmax(values))).all()):
            raise NonFiniteError(values)
        below = int((values < 0).sum())
        ends: list[Tensor] = []
        for rank in self.ranks(count + zeros):
            if below < rank <= below + zeros:
                ends.append(torch.zeros((), device=values.device))
            else:
                place = rank if rank <= below else rank - zeros
                ends.append(values.kthvalue(place).values.float())
        if ends[0] == ends[1]:
            return include_zero(*measure_extremes(values, None), zeros)
        return ends[0], ends[1]

    def _lines(self, x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
        low_rank, high_rank = self.ranks(x.shape[axis])
        return (
            x.kthvalue(low_rank, dim=axis, keepdim=True).values,
            x.kthvalue(high_rank, dim=axis, keepdim=True).values,
        )

    def ranks(self, n: int) -> tuple[int, int]:
        """Which of n values in ascending order, counted from 1, are the low and the high end."""
        k = max(1, math.floor(self.p * n))
        return k, max(1, math.floor((1 - self.p) * n)) if self.dq_percentile else n - k + 1

    def update(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        if self.keep == "running":
            return torch.fmin(self.low, low), torch.fmax(self.high, high)
        momentum = self.momentum if self.keep == "ema" else 1.0
        return follow(self.low, low, momentum), follow(self.high, high, momentum)

    def extra_repr(self) -> str:
        return f"p={self.p}, dq_percentile={self.dq_percentile}, keep={self.keep!r}"


def take_sample(x: Tensor, most: int) -> Tensor:
    """At most ``most`` elements at even distances, which share no factor with x's shape: no column is favoured."""
    flat = x.reshape(-1)
    if flat.numel() <= most:
        return flat
    return flat[:: _stride(tuple(x.shape), most)]


def take_sample_of(x: Tensor, kept: Tensor, most: int) -> Tensor:
    """``take_sample`` of the kept rows (bool [rows]), which are not copied: they may be most of a large tensor."""
    rows = kept.nonzero().squeeze(1)
    width = x.numel() // max(x.shape[0], 1)
    count = rows.numel() * width
    if count <= most:
        return x[rows].reshape(-1)
    return every_nth_of_rows(x, rows, _stride((rows.numel(), *x.shape[1:]), most))


def _stride(shape: tuple[int, ...], most: int) -> int:
    count = math.prod(shape)
    stride = -(-count // most)
    while any(math.gcd(stride, size) > 1 for size in shape if size > 1) and stride < count:
        stride += 1
    return stride
