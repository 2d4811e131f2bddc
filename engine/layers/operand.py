"""What enters a product: a tensor of the step, or a constant that is kept sparse where it is sparse.

The dataset's features are the same in every step. So is what follows from them by fixed functions
(their quantized values, the first aggregate of GIN and GraphSAGE); ``Constant.keep`` remembers it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor

from engine.kernels.coded import Decoded
from engine.kernels.dense import DenseOperand
from engine.kernels.dropout import drop
from engine.kernels.sparse import SparseOperand
from engine.randomness import Key

Operand = DenseOperand | Decoded | SparseOperand


OFTEN = 3
"""Times that values are made anew before they stay."""


def make_operand(x: Tensor) -> Operand:
    """x [rows, inputs] without gradient, sparse where that is the faster form."""
    x = x.detach()
    return SparseOperand.from_dense(x) or DenseOperand(x)


class Constant:
    """A tensor [rows, inputs] that is the same in every step; it has no gradient.

    ``again``: makes the operand anew. Where it is given, the memory of a dense operand may be overwritten by what is
    made from it (``surrender``), and is so by what nobody else reads.
    """

    def __init__(self, operand: Operand, again: Callable[[], Operand] | None = None) -> None:
        self._operand: Operand | None = operand
        self._again = again
        self._asked = 0
        self.shape = tuple(operand.shape)
        self._kept: dict[Hashable, tuple[object, Any]] = {}

    @property
    def operand(self) -> Operand:
        """The values; once their memory is given away they are made anew, and stay where that is asked for often."""
        if self._operand is not None:
            return self._operand
        assert self._again is not None
        self._asked += 1
        made = self._again()
        if self._asked >= OFTEN:
            self._operand, self._again = made, None
        return made

    @property
    def source(self) -> Operand | None:
        """The values whose memory may be overwritten; None where there are none."""
        return None if self._again is None else self._operand

    def surrender(self) -> None:
        """Leave the memory of the ``source`` to be overwritten."""
        assert self._again is not None, "nobody can make the values again"
        self._operand = None
        self._kept.pop("dense", None)  # the same memory

    @classmethod
    def of(cls, x: Tensor, again: Callable[[], Tensor] | None = None) -> Constant:
        return cls(make_operand(x), None if again is None else lambda: make_operand(again()))

    def keep(self, key: Hashable, make: Callable[[], Any], version: object = None) -> Any:
        """``make()``, once for each key; anew where ``version`` is another than that of the last time."""
        kept = self._kept.get(key)
        if kept is None or kept[0] != version:
            kept = self._kept[key] = (version, make())
        return kept[1]

    def dense(self) -> Tensor:
        """The values as one tensor, kept."""
        return cast(Tensor, self.keep("dense", lambda: self.operand.dense()))


Activation = Tensor | Constant
"""What a layer takes: a tensor of this step, or a constant."""


@dataclass(frozen=True)
class Dropout:
    """A dropout mask by its rate and key: the same wherever it is applied again."""

    rate: float
    key: Key

    def __call__(self, x: Tensor) -> Tensor:
        return drop(x, self.rate, self.key)
