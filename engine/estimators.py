"""Gradient estimators: what passes backward through a fake-quantization (METHODS §3).

Straight-through (STE): the gradient as it comes; nothing is saved. Clipped STE ("GC" in [DQ]): zero where the
rounded code, before the clamp, lies outside the codes; one bit an element is saved. LSQ (Esser et al., ICLR 2020,
arXiv 1902.08153): the step is learned too; the input itself is saved, not a copy of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.errors import InputError
from engine.formats.base import normalize_axis
from engine.formats.grid import GridFormat
from engine.formats.levels import LevelFormat
from engine.kernels.grid import Grid, keep_rows, pack_mask, quantize_grid, quantize_grid_mask, select_kept
from engine.kernels.layout import chunks
from engine.kernels.rounding import make_rounding, round_

if TYPE_CHECKING:
    from engine.formats import Format
    from engine.formats.base import Granularity, RoundingMode
    from engine.formats.encoded import Encoded
    from engine.randomness import Key

LEAST_STEP = 2.0**-40
"""A learned step is not let go below it, nor to 0."""


class _Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, quantize: Callable[[Tensor], Tensor]) -> Tensor:
        out = quantize(x)
        return out.view_as(x) if out is x else out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradients[0], None


class _Masked(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, quantize: Callable[[Tensor], tuple[Tensor, Tensor]]) -> Tensor:
        out, mask = quantize(x)
        ctx.save_for_backward(mask)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return select_kept(gradients[0], ctx.saved_tensors[0]), None


def straight_through(x: Tensor, quantize: Callable[[Tensor], Tensor], protected: Tensor | None = None) -> Tensor:
    """``quantize(x)`` forward, the identity backward; ``protected`` (bool [rows]) rows stay as they are."""
    if protected is None:
        return _Straight.apply(x, quantize)  # pyright: ignore[reportReturnType]
    return _Straight.apply(x, lambda x: _restore(quantize(x), x, protected))  # pyright: ignore[reportReturnType]


def _restore(out: Tensor, x: Tensor, protected: Tensor) -> Tensor:
    """``out``, a new tensor, with the protected rows of x: the rows are few, and a large tensor is not copied."""
    if out.device.type != "cpu":  # counting the rows would wait for the device
        return torch.where(protected.view(-1, *[1] * (x.dim() - 1)), x.detach(), out)
    rows = protected.nonzero().squeeze(1)
    return out.index_copy_(0, rows, x.detach()[rows])


def clipped(
    x: Tensor,
    format: Format,
    axis: int = -1,
    *,
    inclusive: bool = False,
    range: Any = None,
    rounding: RoundingMode | None = None,
    generator: Key | None = None,
    granularity: Granularity = "tensor",
    protected: Tensor | None = None,
) -> Tensor:
    """Fake-quantize with clipped STE. A format without a range clips nothing: its gradient passes.

    ``protected`` (bool [rows]): rows that stay as they are, with their gradient.
    """
    settings: dict[str, Any] = {"rounding": rounding, "generator": generator, "granularity": granularity}
    if not (torch.is_grad_enabled() and x.requires_grad):
        # No gradient passes, so that there is none to clip: a constant's mask is not made.
        return straight_through(x, lambda x: format.fake_quantize(x, axis, range=range, **settings), protected)
    if isinstance(format, GridFormat):

        def quantize(x: Tensor) -> tuple[Tensor, Tensor]:
            if x.numel() == 0:
                return x.detach().clone(), torch.empty(0, dtype=torch.uint8, device=x.device)
            grid, _ = format.grid(x, axis, range, granularity)
            mode = make_rounding(rounding or format.rounding, generator)
            return _spare(
                *quantize_grid_mask(x, grid, mode, inclusive=inclusive, check=range is not None), x, protected
            )

        return _Masked.apply(x, quantize)  # pyright: ignore[reportReturnType]
    if isinstance(format, LevelFormat):

        def quantize_levels(x: Tensor) -> tuple[Tensor, Tensor]:
            out = format.fake_quantize(x, axis, range=range, **settings)
            reach = format.reach(x, normalize_axis(axis, x.dim()), range, granularity)
            mask = pack_mask(out.abs() < reach if inclusive else x.detach().abs() <= reach)
            return _spare(out, mask, x, protected)

        return _Masked.apply(x, quantize_levels)  # pyright: ignore[reportReturnType]
    return straight_through(x, lambda x: format.fake_quantize(x, axis, range=range, **settings), protected)


def _spare(out: Tensor, mask: Tensor, x: Tensor, protected: Tensor | None) -> tuple[Tensor, Tensor]:
    """Values and packed mask with the protected rows as they are, and all of their gradient kept."""
    if protected is None:
        return out, mask
    return _restore(out, x, protected), keep_rows(mask, protected, tuple(x.shape))


class _LearnedStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, codes: tuple[int, int], axis: int, rounding: Any) -> Tensor:
        c = step.detach().double().clamp(min=LEAST_STEP)
        zero = torch.zeros_like(c)
        grid = Grid(zero, c, zero, c, float(codes[0]), float(codes[1]), axis)
        ctx.save_for_backward(x, step)
        ctx.codes, ctx.axis, ctx.rounding = codes, axis, rounding
        return quantize_grid(x, grid, rounding, check=True)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, step = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        first, last = ctx.codes
        source = x.detach().contiguous()
        many = step.dim() > 0
        if many:
            shape = list(step.shape)
            view = (math.prod(shape[: ctx.axis]), x.shape[ctx.axis], math.prod(shape[ctx.axis + 1 :]))
        else:
            view = (1, x.numel(), 1)
        source, incoming = source.view(view), gradient.view(view)
        c = step.detach().double().clamp(min=LEAST_STEP)
        c = c.reshape(view[0], 1, view[2]) if many else c
        to_x = torch.empty_like(gradient)
        to_x_view = to_x.view(view)
        to_step = torch.zeros(view[0], 1, view[2], dtype=torch.float64, device=x.device)
        for o, r, start in chunks(view, x.device.type):
            v = source[o, r].double() / (c[o] if many else c)
            inside = (v > first) & (v < last)
            to_x_view[o, r] = torch.where(inside, incoming[o, r], 0)
            code = round_(v.clone(), ctx.rounding, start)
            part = torch.where(inside, code - v, v.clamp(first, last)).mul_(incoming[o, r])
            to_step[o] += part.sum(1, keepdim=True)
        scale = 1 / math.sqrt(max(x.numel() // step.numel(), 1) * last)
        to_step = to_step.mul_(scale).view(step.shape).to(step.dtype)
        return to_x, to_step, None, None, None


def learned_step(
    x: Tensor,
    step: Tensor,
    format: Format,
    axis: int = -1,
    *,
    rounding: RoundingMode | None = None,
    generator: Key | None = None,
) -> Tensor:
    """Fake-quantize with a learned step: x̂ = s·clamp(round(x/s)), gradients for x and s (that by 1/√(numel·q_max)).

    ``step``: no dimensions (one a tensor), or x's shape with size 1 along ``axis``. Raises InputError where the
    format is not a symmetric integer.
    """
    codes = learnable_codes(format)
    if x.numel() == 0:
        return x.clone()
    axis = normalize_axis(axis, x.dim())
    mode = make_rounding(rounding or format.rounding, generator)
    return _LearnedStep.apply(x, step, codes, axis, mode)  # pyright: ignore[reportReturnType]


def encode_steps(
    x: Tensor,
    step: Tensor,
    format: Format,
    axis: int = -1,
    *,
    rounding: RoundingMode | None = None,
    generator: Key | None = None,
) -> Encoded:
    """The packed form of what ``learned_step`` gives for the same arguments."""
    reach = step.detach().double().clamp(min=LEAST_STEP) * learnable_codes(format)[1]
    granularity = "channel" if step.dim() else "tensor"
    return format.encode(
        x, axis, range=(-reach, reach), rounding=rounding, generator=generator, granularity=granularity
    )


def learnable_codes(format: Format) -> tuple[int, int]:
    """The codes of a symmetric integer format. Raises InputError for another format."""
    if isinstance(format, GridFormat):
        first, last = format.codes
        if first == -last:
            return first, last
    raise InputError(f"a learned step needs a symmetric integer format, such as int4-symmetric, not {format.name}")
