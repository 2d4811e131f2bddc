"""intB: affine integers of b bits with a scale and an offset (METHODS §1, [Q], [W20]).

Float range [α, β] (min and max, widened to include 0), signed codes [α_i, β_i] = [−2^(b−1), 2^(b−1)−1];
c = (β−α)/(β_i−α_i), offset d = (α·β_i − β·α_i)/(β−α) rounded to the nearest integer, so that 0.0 is exact;
code = clamp(round(x/c − d), α_i, β_i); x̂ = c·(code + d). ``exact_zero=false``: the range as observed and d
unrounded. ``binary`` is the 1-bit case of the latter: levels α and β.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.errors import InputError
from engine.formats.base import Family, Format, name_with, take_options
from engine.formats.grid import Arithmetic, GridFormat
from engine.grammar import Value

LEAST, MOST = 1, 16


@dataclass(frozen=True, eq=False, repr=False)
class Affine(GridFormat):
    width: int
    exact_zero: bool = True

    family = "affine"
    cost_family = "int"

    @property
    def name(self) -> str:
        if self.width == 1 and not self.exact_zero:
            return "binary"
        return name_with(f"int{self.width}", exact_zero=None if self.exact_zero else False)

    @property
    def keeps_zero(self) -> bool:
        return self.exact_zero

    @property
    def codes(self) -> tuple[int, int]:
        return -(1 << (self.width - 1)), (1 << (self.width - 1)) - 1

    def widen(self, low: Any, high: Any, on: Arithmetic) -> tuple[Any, Any]:
        return (on.minimum(low, 0.0), on.maximum(high, 0.0)) if self.exact_zero else (low, high)

    def steps(self, low: Any, high: Any, on: Arithmetic) -> tuple[Any, Any, Any]:
        first, last = self.codes
        d = (low * last - high * first) / (high - low)
        return low - low, on.round(d) if self.exact_zero else d, (high - low) / (last - first)


@dataclass(frozen=True)
class _AffineFamily(Family):
    names = f"int{LEAST}…int{MOST}, binary"

    def parse(self, name: str, options: Mapping[str, Value]) -> Format | None:
        if name == "binary":
            take_options(name, options, {})
            return Affine(1, exact_zero=False)
        found = re.fullmatch(r"int(\d+)", name)
        if not found:
            return None
        width = int(found[1])
        if not LEAST <= width <= MOST:
            raise InputError(f"int{width}: the bits of an integer format go from {LEAST} to {MOST}")
        return Affine(width, **take_options(name, options, {"exact_zero": bool}))

    def formats(self) -> Iterable[Format]:
        return [Affine(1, exact_zero=False), *(Affine(width) for width in range(LEAST, MOST + 1))]


ENTRIES = [
    _AffineFamily("affine", "integers with a scale and an exact zero a tensor", "Wu et al. 2020, arXiv 2004.09602")
]
