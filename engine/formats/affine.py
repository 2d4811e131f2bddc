"""intB: affine integers of b bits with one scale and offset a tensor (METHODS §1, [Q], [W20]).

Float range [α, β] (min, max of the tensor, widened to include 0), signed codes [α_i, β_i] =
[−2^(b−1), 2^(b−1)−1]; c = (β−α)/(β_i−α_i), offset d = (α·β_i − β·α_i)/(β−α) rounded to the nearest
integer, so that 0.0 is exact; code = clamp(round(x/c − d), α_i, β_i); x̂ = c·(code + d).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.errors import InputError
from engine.formats.base import Density, Family, Format, arithmetic_density

if TYPE_CHECKING:
    from torch import Tensor

LEAST, MOST = 2, 8
PUBLISHED = {4.0: 20.9, 8.0: 7.7}
"""Arithmetic density of INT4 and INT8 [R20]."""


@dataclass(frozen=True, eq=False, repr=False)
class Affine(Format):
    width: int

    family = "affine"

    @property
    def name(self) -> str:
        return f"int{self.width}"

    @property
    def bits(self) -> float:
        return float(self.width)

    @property
    def arithmetic_density(self) -> Density:
        return arithmetic_density(self.bits, PUBLISHED)

    def fake_quantize(self, x: Tensor, axis: int = -1) -> Tensor:
        from engine.kernels.affine import fake_quantize_affine

        return fake_quantize_affine(x, self.width)


@dataclass(frozen=True)
class _AffineFamily(Family):
    def parse(self, name: str) -> Format | None:
        found = re.fullmatch(r"int(\d+)", name)
        if not found:
            return None
        width = int(found[1])
        if not LEAST <= width <= MOST:
            raise InputError(f"int{width}: the bits of an integer format go from {LEAST} to {MOST}")
        return Affine(width)

    def formats(self) -> Iterable[Format]:
        return [Affine(width) for width in range(LEAST, MOST + 1)]


ENTRIES = [
    _AffineFamily("affine", "integers with a scale and an exact zero a tensor", "Wu et al. 2020, arXiv 2004.09602")
]
