"""msfpN: Microsoft floating point, a shared exponent for a box of 16 values [R20].

Boxes lie along the dot product's axis. e = floor(log2 max|x|) of the box, clamped to [−127, 127];
each value keeps a sign and m mantissa bits: step = 2^(e−(m−1)), code = clamp(round(x/step),
±(2^m − 1)). MSFP11…MSFP16 have m = 2…7.
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

LEAST, MOST = 11, 16
BOX = 16
PUBLISHED = {3.5: 50.9, 4.5: 31.9, 5.5: 18.3, 6.5: 13.9, 7.5: 10.8, 8.5: 8.8}
"""Arithmetic density of MSFP11…MSFP16 by bits an element [R20]."""


@dataclass(frozen=True, eq=False, repr=False)
class Msfp(Format):
    mantissa: int

    family = "msfp"
    blocked = True

    @property
    def name(self) -> str:
        return f"msfp{9 + self.mantissa}"

    @property
    def bits(self) -> float:
        return 1 + self.mantissa + 8 / BOX

    @property
    def arithmetic_density(self) -> Density:
        return arithmetic_density(self.bits, PUBLISHED)

    def fake_quantize(self, x: Tensor, axis: int = -1) -> Tensor:
        from engine.kernels.msfp import fake_quantize_msfp

        return fake_quantize_msfp(x, self.mantissa, BOX, axis)


@dataclass(frozen=True)
class _MsfpFamily(Family):
    def parse(self, name: str) -> Format | None:
        found = re.fullmatch(r"msfp(\d+)", name)
        if not found:
            return None
        number = int(found[1])
        if not LEAST <= number <= MOST:
            raise InputError(f"msfp{number}: Microsoft floating point goes from msfp{LEAST} to msfp{MOST}")
        return Msfp(number - 9)

    def formats(self) -> Iterable[Format]:
        return [Msfp(number - 9) for number in range(LEAST, MOST + 1)]


ENTRIES = [_MsfpFamily("msfp", "a shared 8-bit exponent for a box of 16 values", "Rouhani et al., NeurIPS 2020")]
