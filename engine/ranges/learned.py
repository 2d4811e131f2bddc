"""learned: the step of a symmetric integer format is a parameter (LSQ, Esser et al., ICLR 2020, arXiv 1902.08153).

The first tensor sets it to 2·mean|x|/√q_max. A new format keeps the reach, step·q_max.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from engine.errors import InputError
from engine.estimators import learnable_codes
from engine.ranges.base import Range

if TYPE_CHECKING:
    from engine.formats import Format


class Learned(Range):
    """``lines``: the shape of the steps, for one a line along the axis; none: one step."""

    def __init__(self, lines: tuple[int, ...] = ()) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.ones(lines))
        self.ready = False

    def forward(
        self, x: Tensor, format: Format, axis: int | None = None, kept: Tensor | None = None, zeros: int = 0
    ) -> Any:
        step = self.prepare(x, format, axis)
        last = learnable_codes(format)[1]
        reach = step.detach() * last
        return -reach, reach

    def prepare(self, x: Tensor, format: Format, axis: int | None) -> Tensor:
        """The step, set from x if it is the first."""
        if self.ready:
            return self.step
        last = learnable_codes(format)[1]
        mean = x.detach().abs().mean() if axis is None else x.detach().abs().mean(dim=axis, keepdim=True)
        if mean.shape != self.step.shape:
            raise InputError(
                f"the learned range has steps of shape {tuple(self.step.shape)}, but needs {tuple(mean.shape)}"
            )
        with torch.no_grad():
            self.step.copy_(torch.where(mean > 0, 2 * mean / math.sqrt(last), 1.0))
        self.ready = True
        return self.step

    def switch(self, old: Format, new: Format) -> None:
        if self.ready:
            with torch.no_grad():
                self.step.mul_(learnable_codes(old)[1] / learnable_codes(new)[1])

    def get_extra_state(self) -> dict[str, Any]:
        return {"ready": self.ready}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.ready = bool(state["ready"])
