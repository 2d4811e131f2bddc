"""What enters a product: a tensor of the step, or a constant that is kept sparse where it is sparse.

The dataset's features are the same in every step. So is what follows from them by fixed functions
(their quantized values, the first aggregate of GIN and GraphSAGE); ``Constant.keep`` remembers it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor

from engine.kernels.dropout import drop
from engine.kernels.sparse import SparseOperand
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

    def multiply(self, kernel: Tensor) -> Tensor:
        """X·Wᵀ for W [outputs, inputs] → [rows, outputs]."""
        return self.values @ kernel.t()

    def multiply_gradient(self, gradient: Tensor) -> Tensor:
        """dYᵀ·X for dY [rows, outputs] → [outputs, inputs]."""
        return gradient.t() @ self.values


Operand = DenseOperand | SparseOperand


def make_operand(x: Tensor) -> Operand:
    """x [rows, inputs] without gradient, sparse where that is the faster form."""
    x = x.detach()
    return SparseOperand.from_dense(x) or DenseOperand(x)


class Constant:
    """A tensor [rows, inputs] that is the same in every step; it has no gradient."""

    def __init__(self, operand: Operand) -> None:
        self.operand = operand
        self._kept: dict[Hashable, tuple[object, Any]] = {}

    @classmethod
    def of(cls, x: Tensor) -> Constant:
        return cls(make_operand(x))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.operand.shape

    def keep(self, key: Hashable, make: Callable[[], Any], version: object = None) -> Any:
        """``make()``, once for each key; anew where ``version`` is another than that of the last time."""
        kept = self._kept.get(key)
        if kept is None or kept[0] != version:
            kept = self._kept[key] = (version, make())
        return kept[1]

    def dense(self) -> Tensor:
        """The values as one tensor, kept."""
        return cast(Tensor, self.keep("dense", self.operand.dense))


Activation = Tensor | Constant
"""What a layer takes: a tensor of this step, or a constant."""


@dataclass(frozen=True)
class Dropout:
    """A dropout mask by its rate and key: the same wherever it is applied again."""

    rate: float
    key: Key

    def __call__(self, x: Tensor) -> Tensor:
        return drop(x, self.rate, self.key)
