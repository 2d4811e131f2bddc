"""fp32: the reference that every density is relative to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.formats.base import Density, Family, Format

if TYPE_CHECKING:
    from torch import Tensor


class Fp32(Format):
    name = "fp32"
    family = "float"
    bits = 32.0
    arithmetic_density = Density(1.0, "published")

    def fake_quantize(self, x: Tensor, axis: int = -1) -> Tensor:
        """The tensor itself."""
        return x


@dataclass(frozen=True)
class _Float(Family):
    def parse(self, name: str) -> Format | None:
        return Fp32() if name == "fp32" else None

    def formats(self) -> Iterable[Format]:
        return [Fp32()]


ENTRIES = [_Float("float", "IEEE floating point; fp32 is the reference", "IEEE 754")]
