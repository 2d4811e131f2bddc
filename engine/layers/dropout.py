"""Dropout of a layer's input where it stands outside a linear product; its mask is hashed, never stored."""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor

from engine.layers.operand import Activation, Constant, Dropout


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, dropout: Dropout) -> Tensor:
        ctx.dropout = dropout
        return dropout(x)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        return ctx.dropout(gradient), None


@overload
def dropped(x: Tensor, dropout: Dropout | None) -> Tensor: ...
@overload
def dropped(x: Constant, dropout: Dropout | None) -> Constant: ...
def dropped(x: Activation, dropout: Dropout | None) -> Activation:
    """x after this dropout, in x's shape and kind, with its gradient; x itself where there is none."""
    if dropout is None:
        return x
    if isinstance(x, Constant):
        return Constant(x.operand.drop(dropout.rate, dropout.key))
    return _Drop.apply(x, dropout)
