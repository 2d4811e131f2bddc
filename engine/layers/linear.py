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
from engine.kernels.sparse import SparseOperand
from engine.live import Sites
from engine.randomness import Key


@dataclass(frozen=True)
class Dropout:
    """A dropout mask by its rate and key: the same wherever it is applied again."""

    rate: float
    key: Key

    def __call__(self, x: Tensor) -> Tensor:
        return drop(x, self.rate, self.key)


@dataclass(frozen=True)
class DenseOperand:
    """A quantized operand [rows, inputs] as it stands."""

    values: Tensor

    def drop(self, rate: float, key: Key) -> DenseOperand:
        return DenseOperand(drop(self.values, rate, key))

    def multiply(self, kernel: Tensor) -> Tensor:
        """X·Wᵀ for W [outputs, inputs] → [rows, outputs]."""
        return self.values @ kernel.t()

    def multiply_gradient(self, gradient: Tensor) -> Tensor:
        """dYᵀ·X for dY [rows, outputs] → [outputs, inputs]."""
        return gradient.t() @ self.values


Operand = DenseOperand | SparseOperand


@dataclass
class LayerInput:
    """What enters a layer: values [rows, inputs], and whether they are the same in every step.

    Constant values (the dataset's features) are quantized once for each format and axis, and kept
    sparse where what is left of them is sparse.
    """

    values: Tensor
    constant: bool = False
    _kept: dict[tuple[Format, int], Operand] = field(default_factory=dict)

    def operand(self, sites: Sites, product: str, axis: int, dropout: Dropout | None) -> Operand:
        """The quantized, then dropped input of a product that sums over ``axis``."""
        found = self._constant(sites, product, axis) if self.constant else self._quantize(sites, product, axis)
        return found if dropout is None else found.drop(dropout.rate, dropout.key)

    def _quantize(self, sites: Sites, product: str, axis: int) -> DenseOperand:
        return DenseOperand(sites.quantize(self.values, "input", product, axis))

    def _constant(self, sites: Sites, product: str, axis: int) -> Operand:
        format = sites.format("input", product)
        key = (format, axis if format.blocked else 0)
        if key not in self._kept:
            dense = self._quantize(sites, product, axis)
            self._kept[key] = SparseOperand.from_dense(dense.values) or dense
        return self._kept[key]


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values: Tensor, weight: Tensor, x: LayerInput, sites: Sites, dropout: Dropout | None) -> Tensor:
        operand = x.operand(sites, "forward", -1, dropout)
        ctx.sites, ctx.x, ctx.dropout = sites, x, dropout
        # The forward's operand serves grad_weight as well where no axis matters and the format is the same.
        backward_format = sites.format("input", "grad_weight")
        reuse = not backward_format.blocked and backward_format == sites.format("input", "forward")
        ctx.operand = operand if reuse else None
        ctx.save_for_backward(weight)
        return operand.multiply(sites.quantize(weight, "weight", "forward", -1))

    @staticmethod
    def backward(ctx, gradient: Tensor):  # pyright: ignore[reportIncompatibleMethodOverride]
        sites, x, dropout = ctx.sites, ctx.x, ctx.dropout
        (weight,) = ctx.saved_tensors
        gradient = gradient.contiguous()
        input_gradient = None
        if ctx.needs_input_grad[0]:
            kernel = sites.quantize(weight, "weight", "grad_input", 0)
            input_gradient = sites.quantize(gradient, "gradient", "grad_input", -1) @ kernel
            if dropout is not None:
                input_gradient = dropout(input_gradient)
        operand = ctx.operand if ctx.operand is not None else x.operand(sites, "grad_weight", 0, dropout)
        weight_gradient = operand.multiply_gradient(sites.quantize(gradient, "gradient", "grad_weight", 0))
        return input_gradient, weight_gradient, None, None, None


def linear(x: LayerInput, weight: Tensor, sites: Sites, dropout: Dropout | None = None) -> Tensor:
    """drop(fq(X))·fq(W)ᵀ: [rows, inputs] × [outputs, inputs] → [rows, outputs], straight-through gradients."""
    return _Linear.apply(x.values, weight, x, sites, dropout)
