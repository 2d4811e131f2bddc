"""entropy: the threshold on |x| whose quantized histogram is nearest to the observed one (KL) [W20].

A histogram of 2048 bins of |x| over all tensors seen; when a larger value comes, the bins' width doubles and
neighbours merge, so that nothing is lost. Candidates are the ends of the bins from 2^(b−1) on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from engine.errors import InputError, RunError
from engine.kernels.jit import kernel
from engine.kernels.layout import CHUNK
from engine.ranges.base import UNSEEN, Range, measure_extremes
from engine.ranges.fixed import Fixed

if TYPE_CHECKING:
    from engine.formats import Format

BINS = 2048


@kernel
def best_threshold(counts, levels):
    """How many bins to keep: the number that minimises KL(observed ‖ quantized to ``levels`` bins)."""
    total = counts.sum()
    best, kept = np.inf, counts.size
    tail = total - counts[:levels].sum()
    for size in range(levels, counts.size + 1):
        if size > levels:
            tail -= counts[size - 1]
        divergence = 0.0
        quantized = total - tail
        if quantized <= 0:
            continue
        for level in range(levels):
            a, z = level * size // levels, (level + 1) * size // levels
            mass, some = 0.0, 0
            for i in range(a, z):
                mass += counts[i]
                some += 1 if counts[i] > 0 else 0
            if mass == 0:
                continue
            share = mass / some / quantized
            for i in range(a, z):
                observed = counts[i] + (tail if i == size - 1 else 0.0)
                if counts[i] > 0:
                    divergence += observed / total * np.log(observed / total / share)
        if counts[size - 1] == 0 and tail > 0:
            continue  # what is cut off would have nowhere to go
        if divergence < best:
            best, kept = divergence, size
    return kept


class Entropy(Range):
    """One range a tensor; its state is the histogram, so a new format only moves the threshold."""

    keeps: ClassVar[bool] = True
    counts: Tensor
    width: Tensor
    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("counts", torch.zeros(BINS, dtype=torch.float64))
        self.register_buffer("width", torch.tensor(0.0, dtype=torch.float64))
        self.register_buffer("low", torch.tensor(torch.nan))
        self.register_buffer("high", torch.tensor(torch.nan))
        self._thresholds: dict[int, float] = {}

    def forward(
        self, x: Tensor, format: Format, axis: int | None = None, kept: Tensor | None = None, zeros: int = 0
    ) -> Any:
        if axis is not None:
            raise InputError("the entropy range is one a tensor: choose the granularity tensor")
        if self.training:
            self._observe(x.detach() if kept is None else x.detach()[kept])
        if bool(self.low.isnan()):
            raise RunError(f"the range {UNSEEN}")
        reach = self.threshold(format)
        low, high = max(self.low.item(), -reach), min(self.high.item(), reach)
        return (low, high) if x.device.type == "cpu" else (torch.tensor(low), torch.tensor(high))

    def ends(self, format: Format) -> tuple[Tensor, Tensor] | None:
        reach = torch.tensor(self.threshold(format), dtype=torch.float64)
        return self.low.double().cpu().maximum(-reach), self.high.double().cpu().minimum(reach)

    def fix(self, low: Tensor, high: Tensor) -> Range:
        return Fixed(low, high)

    def threshold(self, format: Format) -> float:
        """The largest |x| that is kept apart, for this format's bits."""
        levels = min(1 << max(round(format.bits) - 1, 0), BINS)
        if levels not in self._thresholds:
            self._thresholds[levels] = float(best_threshold(self.counts.cpu().numpy(), levels)) * self.width.item()
        return self._thresholds[levels]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._thresholds.clear()
        super()._load_from_state_dict(*args, **kwargs)

    def _observe(self, x: Tensor) -> None:
        if x.numel() == 0:
            return
        self._thresholds.clear()
        low, high = measure_extremes(x, None)
        self.low, self.high = torch.fmin(self.low, low), torch.fmax(self.high, high)
        largest = max(abs(low.item()), abs(high.item()))
        if largest == 0:
            self.counts[0] += x.numel()
            return
        if self.width.item() == 0:
            self.width.fill_(largest / BINS)
        while largest > self.width.item() * BINS:
            self.counts[: BINS // 2] = self.counts.view(-1, 2).sum(1)
            self.counts[BINS // 2 :] = 0
            self.width *= 2
        # The top edge belongs to the last bin.
        flat, most = x.reshape(-1), CHUNK.get(x.device.type, CHUNK["cuda"])
        for start in range(0, flat.numel(), most):
            place = (flat[start : start + most].double().abs_() / self.width).long().clamp_(max=BINS - 1)
            self.counts += torch.bincount(place, minlength=BINS)
