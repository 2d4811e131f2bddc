"""What every format offers, and how densities between the published points are found."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

DensityLabel = Literal["published", "interpolated", "extrapolated"]


@dataclass(frozen=True)
class Density:
    """A density relative to fp32, and whether it is from the published table."""

    value: float
    label: DensityLabel


def arithmetic_density(bits: float, published: Mapping[float, float]) -> Density:
    """Density at ``bits`` an element from a family's published points (bits → density).

    Between and beyond them: log-linear over bits an element (METHODS §9).
    """
    if bits in published:
        return Density(published[bits], "published")
    points = sorted(published)
    inside = points[0] < bits < points[-1]
    upper = next((i for i, point in enumerate(points) if point > bits), len(points) - 1)
    upper = max(upper, 1)
    low, high = points[upper - 1], points[upper]
    slope = (math.log(published[high]) - math.log(published[low])) / (high - low)
    value = math.exp(math.log(published[low]) + slope * (bits - low))
    return Density(value, "interpolated" if inside else "extrapolated")


class Format(ABC):
    """A number format, a value: two of the same name are equal."""

    @property
    @abstractmethod
    def name(self) -> str: ...

    @property
    @abstractmethod
    def family(self) -> str: ...

    @property
    @abstractmethod
    def bits(self) -> float:
        """Bits an element, shared exponents included."""

    @property
    @abstractmethod
    def arithmetic_density(self) -> Density:
        """Multiply-accumulates an area, relative to fp32."""

    @property
    def memory_density(self) -> float:
        """32 / bits an element."""
        return 32 / self.bits

    @property
    def blocked(self) -> bool:
        """Whether values share metadata along an axis, so that the axis matters."""
        return False

    @abstractmethod
    def fake_quantize(self, x: Tensor, axis: int = -1) -> Tensor:
        """Quantize and dequantize: a tensor of the same shape, dtype and device, without gradient.

        ``axis`` is the dot product's axis, along which blocked formats share their exponents.
        """

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Format) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


@dataclass(frozen=True)
class Family(ABC):
    """A catalogue entry that makes the formats of one family from their names."""

    name: str
    summary: str
    source: str

    @abstractmethod
    def parse(self, name: str) -> Format | None:
        """The format of this name; None where the name is not the family's.

        Raises InputError where it is, and its bits are out of bounds.
        """

    @abstractmethod
    def formats(self) -> Iterable[Format]:
        """The family's named formats, widest last."""
