"""intB-floor: floor-affine integers of b bits [SG].

s = (x_max − x_min)/2^b, code = clamp(floor((x − x_min)/s), 0, 2^b − 1), x̂ = s·code + x_min ("rematching"),
so that x_max comes back as x_max − s.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from engine.errors import InputError
from engine.formats.base import Family, Format, RoundingMode, take_options
from engine.formats.grid import Arithmetic, GridFormat
from engine.grammar import Value

LEAST, MOST = 1, 16


@dataclass(frozen=True, eq=False, repr=False)
class FloorAffine(GridFormat):
    width: int

    family = "floor-affine"
    cost_family = "int"
    rounding: ClassVar[RoundingMode] = "floor"

    @property
    def name(self) -> str:
        return f"int{self.width}-floor"

    @property
    def keeps_zero(self) -> bool:
        return False

    @property
    def codes(self) -> tuple[int, int]:
        return 0, (1 << self.width) - 1

    def steps(self, low: Any, high: Any, on: Arithmetic) -> tuple[Any, Any, Any]:
        return low, low - low, (high - low) / (1 << self.width)


@dataclass(frozen=True)
class _FloorAffineFamily(Family):
    names = f"int{LEAST}-floor…int{MOST}-floor"

    def parse(self, name: str, options: Mapping[str, Value]) -> Format | None:
        found = re.fullmatch(r"int(\d+)-floor", name)
        if not found:
            return None
        width = int(found[1])
        if not LEAST <= width <= MOST:
            raise InputError(f"{name}: the bits of a floor-affine integer format go from {LEAST} to {MOST}")
        take_options(name, options, {})
        return FloorAffine(width)

    def formats(self) -> Iterable[Format]:
        return [FloorAffine(width) for width in range(LEAST, MOST + 1)]


ENTRIES = [
    _FloorAffineFamily(
        "floor-affine", "integers that round down, from the least value up", "Feng et al. 2020, arXiv 2007.05100"
    )
]
