"""What every range offers, and the state that most of them keep: a low and a high, one or one a line."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn

from engine.errors import RunError
from engine.kernels.finite import NonFiniteError
from engine.kernels.range import observe

if TYPE_CHECKING:
    from engine.formats import Format

UNSEEN = "has seen no tensor: train, or calibrate in training mode, before evaluating"


class Range(nn.Module):
    """Gives (low, high) for a tensor; observes it first in training mode."""

    counts_zeros: ClassVar[bool] = False
    """Whether zeros may be told by their number (``zeros``) instead of one by one."""
    keeps: ClassVar[bool] = False
    """Whether it has ``ends`` of its own, which evaluation uses whatever comes."""

    @abstractmethod
    def forward(
        self, x: Tensor, format: Format, axis: int | None = None, kept: Tensor | None = None, zeros: int = 0
    ) -> Any:
        """(low, high) for ``format``: of the tensor (``axis`` None), or of each line along ``axis``.

        ``kept`` (bool [rows]): the rows that count; where none does, the range stays as it was.
        ``zeros``: how many zeros there are beside x's elements (where ``counts_zeros``).
        """

    def switch(self, old: Format, new: Format) -> None:
        """The site's format changes: keep what still makes sense."""

    def ends(self, format: Format) -> tuple[Tensor, Tensor] | None:
        """(low, high) that evaluation uses whatever comes, NaN where nothing was seen; None: the tensor's own."""
        return None

    def fix(self, low: Tensor, high: Tensor) -> Range:
        """The range that gives these ``ends``: this one where it can, else another in its place."""
        raise TypeError(f"{type(self).__name__} has no ends of its own")


class StatefulRange(Range):
    """A range that is kept: ``low`` and ``high``, NaN until something was seen."""

    low: Tensor
    high: Tensor
    counts_zeros: ClassVar[bool] = True
    keeps: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("low", torch.tensor(torch.nan))
        self.register_buffer("high", torch.tensor(torch.nan))

    def forward(
        self, x: Tensor, format: Format, axis: int | None = None, kept: Tensor | None = None, zeros: int = 0
    ) -> Any:
        if self.training:
            low, high = self.measure(x.detach(), format, axis, kept, zeros)
            if low.shape != self.low.shape:
                self.low, self.high = torch.full_like(low, torch.nan), torch.full_like(high, torch.nan)
            self.low, self.high = self.update(low, high)
        if x.device.type != "cpu":
            return self.low, self.high
        if self.low.dim() == 0:
            low, high = self.low.item(), self.high.item()
            if low == low:
                return low, high
        elif not bool(self.low.isnan().any()):
            return self.low, self.high
        if not self.training and self.low.dim() and not bool(self.low.isnan().all()):
            # A line that was left out of every pass so far (a protected node) takes its own range of this tensor.
            low, high = self.measure(x.detach(), format, axis, None, zeros)
            return torch.where(self.low.isnan(), low, self.low), torch.where(self.high.isnan(), high, self.high)
        if not self.training:
            raise RunError(f"the range {UNSEEN}")
        # Every row so far was left out, so none is quantized: any range will do.
        return (0.0, 0.0) if self.low.dim() == 0 else (self.low.nan_to_num(0.0), self.high.nan_to_num(0.0))

    def measure(
        self, x: Tensor, format: Format, axis: int | None, kept: Tensor | None, zeros: int = 0
    ) -> tuple[Tensor, Tensor]:
        """(low, high) of this tensor alone, float32, NaN where nothing counts."""
        return include_zero(*measure_extremes(x, axis, kept), zeros)

    @abstractmethod
    def update(self, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
        """The new state from the old one and a measurement, without waiting for the device."""

    def ends(self, format: Format) -> tuple[Tensor, Tensor] | None:
        return self.low, self.high

    def fix(self, low: Tensor, high: Tensor) -> Range:
        self.low, self.high = low, high
        return self

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        # The number of lines is known only once a tensor was seen.
        for name in ("low", "high"):
            saved = state_dict.get(prefix + name)
            if saved is not None and saved.shape != getattr(self, name).shape:
                setattr(self, name, torch.empty_like(saved, device=getattr(self, name).device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def measure_extremes(x: Tensor, axis: int | None, kept: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Least and largest value of the kept rows as float32 tensors, NaN where no row is kept.

    Raises NonFiniteError where x is on the CPU and holds NaN or infinity (in kept rows).
    """
    if x.numel() == 0:
        nothing = torch.tensor(torch.nan, device=x.device)
        return nothing, nothing.clone()
    if kept is None:
        low, high = observe(x, axis)
        if isinstance(low, float):
            return torch.tensor(low), torch.tensor(high)
        return low.float(), high.float()
    if axis == 0:
        rows = x[kept]
        if rows.numel() == 0:
            shape = (1, *x.shape[1:])
            return torch.full(shape, torch.nan, device=x.device), torch.full(shape, torch.nan, device=x.device)
        return measure_extremes(rows, 0)
    low, high = (
        torch.aminmax(x.reshape(x.shape[0], -1), dim=1) if axis is None else torch.aminmax(x, dim=axis, keepdim=True)
    )
    kept = kept.view(-1, *[1] * (low.dim() - 1))
    if x.device.type == "cpu" and not bool((torch.isfinite(low) & torch.isfinite(high) | ~kept).all()):
        raise NonFiniteError(x)
    low, high = low.float().masked_fill(~kept, torch.inf), high.float().masked_fill(~kept, -torch.inf)
    if axis is None:
        low, high = low.amin(), high.amax()
    return low.masked_fill(low == torch.inf, torch.nan), high.masked_fill(high == -torch.inf, torch.nan)


def include_zero(low: Tensor, high: Tensor, zeros: int) -> tuple[Tensor, Tensor]:
    """A range with the zeros that were not looked at."""
    if not zeros:
        return low, high
    zero = torch.zeros_like(low)
    return torch.fmin(low, zero), torch.fmax(high, zero)


def follow(old: Tensor, new: Tensor, momentum: float) -> Tensor:
    """r + momentum·(v − r): the first value as it is; NaN (nothing seen) leaves r."""
    moved = old + (new - old) * momentum
    return cast(Tensor, torch.where(new.isnan(), old, torch.where(old.isnan(), new, moved)))
