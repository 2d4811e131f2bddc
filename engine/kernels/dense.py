"""A dense operand and its products."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from engine.kernels.dropout import drop
from engine.randomness import Key


@dataclass(frozen=True)
class DenseOperand:
    """A quantized operand [rows, inputs] as it stands."""

    values: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.values.shape)

    def dense(self) -> Tensor:
        return self.values

    def drop(self, rate: float, key: Key) -> DenseOperand:
        return DenseOperand(drop(self.values, rate, key))

    def take(self, rows: Tensor) -> Tensor:
        """Some rows' values [rows, inputs]."""
        return self.values[rows]

    def multiply(self, kernel: Tensor) -> Tensor:
        """X·Wᵀ for W [outputs, inputs] → [rows, outputs]."""
        return self.values @ kernel.t()

    def multiply_gradient(self, gradient: Tensor) -> Tensor:
        """dYᵀ·X for dY [rows, outputs] → [outputs, inputs]."""
        return gradient.t() @ self.values
