"""mx…: the OCP Microscaling formats, a power-of-two scale for a block of 32 small floats [MX].

Scale exponent = floor(log2 max|x|) − emax, clamped to [−127, 127] (E8M0); overflow saturates; subnormals are kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from engine.formats.base import Family, Format, take_options
from engine.formats.block import BlockFormat
from engine.grammar import Value

if TYPE_CHECKING:
    from engine.kernels.blocks import Block

BLOCK = 32


@dataclass(frozen=True)
class _Element:
    """Bits an element, M mantissa bits, exponent of the least normal and of the largest value, the largest value."""

    bits: int
    mantissa: int
    emin: int
    emax: int
    maximum: float


ELEMENTS = {
    "mxfp4_e2m1": _Element(4, 1, 0, 2, 6.0),
    "mxfp6_e2m3": _Element(6, 3, 0, 2, 7.5),
    "mxfp6_e3m2": _Element(6, 2, -2, 4, 28.0),
    "mxfp8_e4m3": _Element(8, 3, -6, 8, 448.0),
    "mxfp8_e5m2": _Element(8, 2, -14, 15, 57344.0),
    "mxint8": _Element(8, 6, 0, 0, 127 / 64),
}


@dataclass(frozen=True, eq=False, repr=False)
class Microscaling(BlockFormat):
    element: str

    family = "mx"
    cost_family = "msfp"
    box = BLOCK

    @property
    def name(self) -> str:
        return self.element

    @property
    def element_bits(self) -> int:
        return ELEMENTS[self.element].bits

    @property
    def least(self) -> float:
        of = ELEMENTS[self.element]
        return 2.0 ** (of.emin - of.mantissa - of.emax)

    @property
    def block(self) -> Block:
        return _make_block(self.element)


@cache
def _make_block(name: str) -> Block:
    from engine.kernels.blocks import Block, Element

    of = ELEMENTS[name]
    integer = name == "mxint8"
    element = Element(of.mantissa, of.emin, of.maximum, floating=not integer, signed_zero=not integer)
    return Block(BLOCK, element, of.emax)


@dataclass(frozen=True)
class _MicroscalingFamily(Family):
    names = ", ".join(ELEMENTS)

    def parse(self, name: str, options: Mapping[str, Value]) -> Format | None:
        if name not in ELEMENTS:
            return None
        take_options(name, options, {})
        return Microscaling(name)

    def formats(self) -> Iterable[Format]:
        return [Microscaling(name) for name in ELEMENTS]


ENTRIES = [
    _MicroscalingFamily(
        "mx", "a power-of-two scale for a block of 32 small floats", "OCP Microscaling Formats (MX) v1.0, 2023"
    )
]
