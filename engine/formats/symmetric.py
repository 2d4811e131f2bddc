"""intB-symmetric: c = max|x|/(2^(b−1)−1), code = clamp(round(x/c), ±(2^(b−1)−1)), x̂ = c·code; no offset."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from engine.errors import InputError
from engine.formats.base import Family, Format, take_options
from engine.formats.grid import Arithmetic, GridFormat
from engine.grammar import Value

if TYPE_CHECKING:
    from torch import Tensor

LEAST, MOST = 2, 16


@dataclass(frozen=True, eq=False, repr=False)
class Symmetric(GridFormat):
    width: int

    family = "symmetric"
    cost_family = "int"
    range_bits: ClassVar[int] = 32

    @property
    def name(self) -> str:
        return f"int{self.width}-symmetric"

    @property
    def codes(self) -> tuple[int, int]:
        last = (1 << (self.width - 1)) - 1
        return -last, last

    def widen(self, low: Any, high: Any, on: Arithmetic) -> tuple[Any, Any]:
        largest = on.maximum(on.absolute(low), on.absolute(high))
        return -largest, largest

    def steps(self, low: Any, high: Any, on: Arithmetic) -> tuple[Any, Any, Any]:
        return high - high, high - high, high / self.codes[1]

    def range_to_metadata(self, low: Any, high: Any, x: Tensor) -> tuple[Tensor, ...]:
        low, high = super().range_to_metadata(low, high, x)
        return (low.abs().maximum(high.abs()),)

    def range_from_metadata(self, metadata: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        return -metadata[0], metadata[0]


@dataclass(frozen=True)
class _SymmetricFamily(Family):
    names = f"int{LEAST}-symmetric…int{MOST}-symmetric"

    def parse(self, name: str, options: Mapping[str, Value]) -> Format | None:
        found = re.fullmatch(r"int(\d+)-symmetric", name)
        if not found:
            return None
        width = int(found[1])
        if not LEAST <= width <= MOST:
            raise InputError(f"{name}: the bits of a symmetric integer format go from {LEAST} to {MOST}")
        take_options(name, options, {})
        return Symmetric(width)

    def formats(self) -> Iterable[Format]:
        return [Symmetric(width) for width in range(LEAST, MOST + 1)]


ENTRIES = [_SymmetricFamily("symmetric", "integers with a scale and no offset", "Wu et al. 2020, arXiv 2004.09602")]
