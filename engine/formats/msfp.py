"""msfpN: Microsoft floating point, a shared exponent for a box of 16 values [R20].

Boxes lie along the dot product's axis. e = floor(log2 max|x|) of the box, clamped to [−127, 127];
each value keeps a sign and m = N − 9 mantissa bits: step = 2^(e−(m−1)), code = clamp(round(x/step),
±(2^m − 1)). MSFP11…MSFP16 have m = 2…7 and are published. ``box``: another length of box, 8…128.
``thesis_exponent=true``: step = 2^(ceil(log2 max) − m), as in [T]'s code.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from engine.errors import InputError
from engine.formats.base import Family, Format, name_with, take_options
from engine.formats.block import BlockFormat
from engine.grammar import Value

if TYPE_CHECKING:
    from engine.kernels.blocks import Block

LEAST, MOST = 10, 19
BOX, LEAST_BOX, MOST_BOX = 16, 8, 128


@dataclass(frozen=True, eq=False, repr=False)
class Msfp(BlockFormat):
    mantissa: int
    box: int = BOX
    thesis_exponent: bool = False

    family = "msfp"
    cost_family = "msfp"

    @property
    def name(self) -> str:
        box = None if self.box == BOX else self.box
        return name_with(f"msfp{9 + self.mantissa}", box=box, thesis_exponent=self.thesis_exponent or None)

    @property
    def element_bits(self) -> int:
        return 1 + self.mantissa

    @property
    def least(self) -> float:
        return 2.0 ** (1 - self.mantissa)

    @property
    def block(self) -> Block:
        return _make_block(self)


@cache
def _make_block(format: Msfp) -> Block:
    from engine.kernels.blocks import Block, Element

    bits = format.mantissa - 1
    element = Element(mantissa=bits, emin=0, maximum=((1 << format.mantissa) - 1) / 2.0**bits, floating=False)
    return Block(format.box, element, thesis=format.thesis_exponent)


@dataclass(frozen=True)
class _MsfpFamily(Family):
    names = f"msfp{LEAST}…msfp{MOST}"

    def parse(self, name: str, options: Mapping[str, Value]) -> Format | None:
        found = re.fullmatch(r"msfp(\d+)", name)
        if not found:
            return None
        number = int(found[1])
        if not LEAST <= number <= MOST:
            raise InputError(f"msfp{number}: Microsoft floating point goes from msfp{LEAST} to msfp{MOST}")
        given = take_options(name, options, {"box": int, "thesis_exponent": bool})
        if not LEAST_BOX <= given.get("box", BOX) <= MOST_BOX:
            raise InputError(f"the format {name!r}: box goes from {LEAST_BOX} to {MOST_BOX}, not {given['box']}")
        return Msfp(number - 9, **given)

    def formats(self) -> Iterable[Format]:
        return [Msfp(number - 9) for number in range(LEAST, MOST + 1)]


ENTRIES = [_MsfpFamily("msfp", "a shared 8-bit exponent for a box of 16 values", "Rouhani et al., NeurIPS 2020")]
