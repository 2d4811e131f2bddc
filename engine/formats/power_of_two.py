"""intB-pow2: symmetric integers whose scale is a power of two ([T]'s code).

c = 2^k is the smallest with round(max|x|/c) ≤ 2^(b−1)−1. ``thesis_exponent=true``:
c = 2^(ceil(log2 max|x|) − (b−1)), which saturates whatever rounds to 2^(b−1), exact powers of two always.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from engine.errors import InputError
from engine.formats.base import Family, Format, name_with, take_options
from engine.formats.grid import Arithmetic, GridFormat
from engine.grammar import Value

if TYPE_CHECKING:
    from torch import Tensor

LEAST, MOST = 2, 16
NO_EXPONENT = -(1 << 15)
"""Kept where all is zero."""


@dataclass(frozen=True, eq=False, repr=False)
class PowerOfTwo(GridFormat):
    width: int
    thesis_exponent: bool = False

    family = "power-of-two"
    cost_family = "int"
    range_bits: ClassVar[int] = 16

    @property
    def name(self) -> str:
        return name_with(f"int{self.width}-pow2", thesis_exponent=self.thesis_exponent or None)

    @property
    def codes(self) -> tuple[int, int]:
        last = (1 << (self.width - 1)) - 1
        return -last, last

    def widen(self, low: Any, high: Any, on: Arithmetic) -> tuple[Any, Any]:
        largest = on.maximum(on.absolute(low), on.absolute(high))
        return -largest, largest

    def steps(self, low: Any, high: Any, on: Arithmetic) -> tuple[Any, Any, Any]:
        fraction, exponent = on.frexp(high)  # high = fraction·2^exponent, ½ ≤ fraction < 1
        if self.thesis_exponent:
            exponent = on.choose(fraction == 0.5, exponent - 1, exponent)
        else:
            # round() breaks the tie at last + ½ upwards, to 2^(b−1): one more than there is.
            exponent = on.choose(fraction * 2.0 ** (self.width - 1) >= self.codes[1] + 0.5, exponent + 1, exponent)
        return high - high, high - high, on.power_of_two(exponent - (self.width - 1))

    def range_to_metadata(self, low: Any, high: Any, x: Tensor) -> tuple[Tensor, ...]:
        import torch

        low, high = super().range_to_metadata(low, high, x)
        step = self.make_grid(low, high).c
        exponent = torch.where(step > 0, torch.frexp(step).exponent - 1, NO_EXPONENT)
        return (exponent.to(torch.int16),)

    def range_from_metadata(self, metadata: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        import torch

        exponent = metadata[0].to(torch.int32)
        reach = float(1 << (self.width - 1)) if self.thesis_exponent else float(self.codes[1])
        some = exponent != NO_EXPONENT
        step = ((torch.where(some, exponent, 0).long() + 1023) << 52).view(torch.float64)
        high = torch.where(some, reach * step, 0.0)
        return -high, high


@dataclass(frozen=True)
class _PowerOfTwoFamily(Family):
    names = f"int{LEAST}-pow2…int{MOST}-pow2"

    def parse(self, name: str, options: Mapping[str, Value]) -> Format | None:
        found = re.fullmatch(r"int(\d+)-pow2", name)
        if not found:
            return None
        width = int(found[1])
        if not LEAST <= width <= MOST:
            raise InputError(f"{name}: the bits of a power-of-two integer format go from {LEAST} to {MOST}")
        return PowerOfTwo(width, **take_options(name, options, {"thesis_exponent": bool}))

    def formats(self) -> Iterable[Format]:
        return [PowerOfTwo(width) for width in range(LEAST, MOST + 1)]


ENTRIES = [
    _PowerOfTwoFamily(
        "power-of-two", "integers whose scale is a power of two", "Bqain, thesis, Imperial College London, 2023"
    )
]
