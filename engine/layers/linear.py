"""The quantized linear product: each of its three products quantizes its own operands.

    forward       Y  = drop(X)·Wᵀ     sums over the inputs
    grad_input    dX = drop(dY·W)     sums over the outputs
    grad_weight   dW = dYᵀ·drop(X)    sums over the rows

Block formats share their exponents along the axis that a product sums over (METHODS, "Reduction
axis"), so an operand is quantized anew for each product; others are quantized once, by an operation of
its own, so that a gradient estimator stands between the product and the tensor.
Quantize first, then drop: zeros and the scale 1/(1−p) keep to the format's grid, and a constant
input stays constant.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.kernels.coded import CodedOperand, Decoded
from engine.kernels.packed_rows import PackedRows
from engine.layers.operand import Activation, Constant, DenseOperand, Dropout, Operand
from engine.live import Rows, Sites


def _dropped(operand: Operand, dropout: Dropout | None) -> Operand:
    return operand if dropout is None else operand.drop(dropout.rate, dropout.key)


class _Product(torch.autograd.Function):
    """Y = drop(X̂)·Ŵᵀ; ``x`` and ``weight``: what backward products of their own quantize (x: the stash)."""

    @staticmethod
    def forward(
        ctx,
        x_hat: Tensor | None,
        weight_hat: Tensor,
        x: Activation | PackedRows,
        constant: Constant | None,
        weight: Tensor,
        sites: Sites,
        dropout: Dropout | None,
        rows: Rows,
    ) -> Tensor:
        operand: Operand = constant.operand if constant is not None else DenseOperand(x_hat)  # pyright: ignore[reportArgumentType]
        operand = _dropped(operand, dropout)
        ctx.sites, ctx.dropout, ctx.rows = sites, dropout, rows
        ctx.alone = constant is not None and isinstance(constant.operand, Decoded)
        again = sites.requantizes("input", "grad_weight") or sites.stashes(constant=constant is not None)
        # Kept is what the backward pass reads, and nothing else: X̂ or X, and W where X has a gradient.
        ctx.operand = None if again else operand
        ctx.constant = x if again and isinstance(x, Constant) else None
        ctx.packed = x if again and isinstance(x, PackedRows) else None
        keeps_x = again and isinstance(x, Tensor)
        ctx.again = sites.requantizes("weight", "grad_input")
        kernel = weight if ctx.again else weight_hat
        ctx.save_for_backward(kernel if ctx.needs_input_grad[0] else None, x if keeps_x else None)
        if isinstance(operand, CodedOperand):
            return operand.multiply(weight_hat, sites.step(weight, "weight", "forward"))
        return operand.multiply(weight_hat)

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        sites, dropout = ctx.sites, ctx.dropout
        kernel, x = ctx.saved_tensors
        gradient = gradient.contiguous()
        input_gradient = None
        if ctx.needs_input_grad[0]:
            if ctx.again:
                kernel = sites(kernel, "weight", "grad_input", 0)
            input_gradient = sites(gradient, "gradient", "grad_input", -1) @ kernel
            if dropout is not None:
                input_gradient = dropout(input_gradient)
        weight_gradient = None
        if ctx.needs_input_grad[1]:
            operand = ctx.operand
            if operand is None:
                if ctx.constant is not None:
                    held = sites.alone(ctx.constant, "grad_weight") if ctx.alone else None
                    operand = (held or sites(ctx.constant, "input", "grad_weight", 0, ctx.rows)).operand
                elif ctx.packed is not None and not sites.covers("input", "grad_weight"):
                    operand = ctx.packed
                else:
                    kept = x if ctx.packed is None else ctx.packed.dense()
                    operand = DenseOperand(sites(kept, "input", "grad_weight", 0, ctx.rows))
                operand = _dropped(operand, dropout)
            rounded = sites(gradient, "gradient", "grad_weight", 0)
            if isinstance(operand, CodedOperand):
                step = sites.step(gradient, "gradient", "grad_weight")
                weight_gradient = operand.multiply_gradient(rounded, step)
            else:
                weight_gradient = operand.multiply_gradient(rounded)
        return input_gradient, weight_gradient, None, None, None, None, None, None


def linear(
    x: Activation,
    weight: Tensor,
    sites: Sites,
    dropout: Dropout | None = None,
    *,
    rows: Rows = "nodes",
    alone: bool = False,
) -> Tensor:
    """drop(fq(X))·fq(W)ᵀ: [rows, inputs] × [outputs, inputs] → [rows, outputs].

    Quantizes X at the site "input" (``rows``: what its rows are), W at "weight", and what comes back at "gradient".
    Where the site "stash" is covered, the backward pass finds X as it was kept there. ``alone``: nobody else reads X,
    so that a constant's quantized values may take its memory.
    """
    weight_hat = sites(weight, "weight", "forward", -1)
    if isinstance(x, Constant):
        stashed = sites.stashes(constant=True)
        constant = sites.alone(x, "forward") if alone and not stashed else None
        if constant is None:
            constant = sites(x, "input", "forward", -1, rows)
        sites.multiplied(constant, weight_hat)
        kept = sites(x, "stash", "grad_weight", -1, rows) if stashed and torch.is_grad_enabled() else x
        return _Product.apply(None, weight_hat, kept, constant, weight.detach(), sites, dropout, rows)
    x_hat = sites(x, "input", "forward", -1, rows)
    sites.multiplied(x_hat, weight_hat)
    kept = sites.stash(x, rows) if torch.is_grad_enabled() else x.detach()
    return _Product.apply(x_hat, weight_hat, kept, None, weight.detach(), sites, dropout, rows)
