"""The quantized linear product: each of its three products re-quantizes its own operands.

    forward       Y  = drop(X)·Wᵀ     sums over the inputs
    grad_input    dX = drop(dY·W)     sums over the outputs
    grad_weight   dW = dYᵀ·drop(X)    sums over the rows

Block formats share their exponents along the axis that a product sums over (METHODS, "Reduction
axis"), so an operand is quantized anew for each product; other formats are quantized once.
Quantize first, then drop: zeros and the scale 1/(1−p) keep to the format's grid, and a constant
input stays constant.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from engine.formats import Format
from engine.kernels.dropout import drop
from engine.live import Sites
from engine.randomness import Key


@dataclass
class LayerInput:
    """What enters a layer: values [rows, inputs], and whether they are the same in every step.

    Constant values (the dataset's features) are quantized once for each format and axis.
    """

    values: Tensor
    constant: bool = False
    _quantized: dict[tuple[Format, int], Tensor] = field(default_factory=dict)

    def quantized(self, sites: Sites, product: str, axis: int) -> Tensor:
        if not self.constant:
            return sites.quantize(self.values, "input", product, axis)
        format = sites.format("input", product)
        key = (format, axis if format.blocked else 0)
        if key not in self._quantized:
            self._quantized[key] = sites.quantize(self.values, "input", product, axis)
        return self._quantized[key]


@dataclass(frozen=True)
class Dropout:
    """A dropout mask by its rate and key: the same wherever it is applied again."""

    rate: float
    key: Key

    def __call__(self, x: Tensor) -> Tensor:
        return drop(x, self.rate, self.key)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, weight: Tensor, x: LayerInput, sites: Sites, dropout: Dropout | None) -> Tensor:
        operand = x.quantized(sites, "forward", -1)
        if dropout is not None:
            operand = dropout(operand)
        kernel = sites.quantize(weight, "weight", "forward", -1)
        ctx.sites, ctx.x, ctx.dropout = sites, x, dropout
        # The forward's operand serves grad_weight as well where no axis matters and the format is the same.
        backward_format = sites.format("input", "grad_weight")
        reuse = not backward_format.blocked and backward_format == sites.format("input", "forward")
        ctx.operand = operand if reuse else None
        ctx.save_for_backward(weight)
        return operand @ kernel.t()

    @staticmethod
    def backward(ctx, gradient: Tensor):
        sites, x, dropout = ctx.sites, ctx.x, ctx.dropout
        (weight,) = ctx.saved_tensors
        gradient = gradient.contiguous()
        input_gradient = None
        if ctx.needs_input_grad[0]:
            input_gradient = sites.quantize(gradient, "gradient", "grad_input", -1) @ sites.quantize(
                weight, "weight", "grad_input", 0
            )
            if dropout is not None:
                input_gradient = dropout(input_gradient)
        operand = ctx.operand
        if operand is None:
            operand = x.quantized(sites, "grad_weight", 0)
            if dropout is not None:
                operand = dropout(operand)
        weight_gradient = sites.quantize(gradient, "gradient", "grad_weight", 0).t() @ operand
        return input_gradient, weight_gradient, None, None, None


def linear(x: LayerInput, weight: Tensor, sites: Sites, dropout: Dropout | None = None) -> Tensor:
    """drop(fq(X))·fq(W)ᵀ: [rows, inputs] × [outputs, inputs] → [rows, outputs], straight-through gradients."""
    return _Linear.apply(x.values, weight, x, sites, dropout)
