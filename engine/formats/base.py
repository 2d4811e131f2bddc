"""What every format offers, and how densities between the published points are found."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from engine.errors import InputError
from engine.grammar import Value, print_value

if TYPE_CHECKING:
    from torch import Tensor

    from engine.formats.encoded import Encoded
    from engine.kernels.rounding import Rounding
    from engine.randomness import Key

DensityLabel = Literal["published", "interpolated", "extrapolated"]
Granularity = Literal["tensor", "row", "channel"]
RoundingMode = Literal["nearest", "floor", "stochastic"]

GRANULARITIES = ("tensor", "row", "channel")
"""One range a tensor, or one for each line along the axis (a node's row, a weight's channel)."""


@dataclass(frozen=True)
class Density:
    """A density relative to fp32, and whether it is from the published table."""

    value: float
    label: DensityLabel


def log_linear(bits: float, points: Mapping[float, float]) -> Density:
    """The value at ``bits`` an element from a family's published points (bits → value).

    Between and beyond them: log-linear over bits an element (METHODS §9); a single point holds everywhere.
    """
    if bits in points:
        return Density(points[bits], "published")
    known = sorted(points)
    inside = known[0] < bits < known[-1]
    if len(known) == 1:
        return Density(points[known[0]], "extrapolated")
    upper = next((i for i, point in enumerate(known) if point > bits), len(known) - 1)
    upper = max(upper, 1)
    low, high = known[upper - 1], known[upper]
    slope = (math.log(points[high]) - math.log(points[low])) / (high - low)
    value = math.exp(math.log(points[low]) + slope * (bits - low))
    return Density(value, "interpolated" if inside else "extrapolated")


class Format(ABC):
    """A number format, a value: two of the same name are equal."""

    family: ClassVar[str]
    cost_family: ClassVar[str]
    """The family of a cost table (engine.costs) whose points its multiply-accumulates follow."""
    rounding: ClassVar[RoundingMode] = "nearest"
    """What a value is rounded to if the caller does not say."""
    blocked: ClassVar[bool] = False
    """Whether values share an exponent along an axis, so that the axis matters."""
    ranged: ClassVar[bool] = False
    """Whether values are scaled by a range (of the tensor, or of each line along the axis)."""

    @property
    def keeps_zero(self) -> bool:
        """Whether 0.0 comes out as 0.0 whatever the range."""
        return True

    def zero_up_to(self, low: float, high: float) -> float | None:
        """The magnitude up to which a value comes out as 0.0, where a range goes from ``low`` to ``high``.

        Of a blocked format the range is a box's. 0.0: none does, or only what is smaller than any real feature. None:
        nobody has worked it out for this family.
        """
        return None

    @property
    @abstractmethod
    def name(self) -> str:
        """The text that ``get_format`` reads back."""

    @property
    @abstractmethod
    def bits(self) -> float:
        """Bits an element, shared exponents included; a tensor's one range does not count."""

    @property
    def arithmetic_density(self) -> Density:
        """Multiply-accumulates an area, relative to fp32: the default cost table's (engine.costs)."""
        from engine.costs import default_table

        found = default_table().density(self)
        assert found is not None, "the published table has every family"
        return found

    def density_label(self, found: DensityLabel) -> DensityLabel:
        """How a value from the points of ``cost_family`` is known for this format."""
        return found

    @property
    def memory_density(self) -> float:
        """32 / bits an element."""
        return 32 / self.bits

    @abstractmethod
    def fake_quantize(
        self,
        x: Tensor,
        axis: int = -1,
        *,
        range: Any = None,
        rounding: RoundingMode | None = None,
        generator: Key | None = None,
        granularity: Granularity = "tensor",
    ) -> Tensor:
        """Quantize and dequantize: a tensor of the same shape, dtype and device, without gradient.

        ``axis`` is the dot product's axis, along which blocked formats share their exponents, and along
        which a range of granularity "row" or "channel" is taken. ``range`` is (low, high), numbers or
        tensors; default: x's own. ``generator`` is the key of stochastic rounding
        (engine.randomness.make_key). float16 and bfloat16 are worked on as float32.

        Raises NonFiniteError where x (on the CPU) holds NaN or infinity; on CUDA these come out as NaN.
        """

    @abstractmethod
    def encode(
        self,
        x: Tensor,
        axis: int = -1,
        *,
        range: Any = None,
        rounding: RoundingMode | None = None,
        generator: Key | None = None,
        granularity: Granularity = "tensor",
    ) -> Encoded:
        """The packed codes and metadata; ``decode`` gives what ``fake_quantize`` gives, bit for bit."""

    @abstractmethod
    def decode(self, encoded: Encoded) -> Tensor:
        """The tensor that ``encode`` packed, in its shape and dtype."""

    def count_saturated(
        self, x: Tensor, axis: int = -1, *, range: Any = None, granularity: Granularity = "tensor"
    ) -> Tensor:
        """How many elements come out smaller than their rounding because the largest code is reached (int64)."""
        import torch

        return torch.zeros((), dtype=torch.int64, device=x.device)

    @abstractmethod
    def charged_bits(self, shape: tuple[int, ...], axis: int = -1, granularity: Granularity = "tensor") -> int:
        """Bits of a whole tensor in memory: codes, shared exponents (a short box has one too) and ranges."""

    def _refuse(self, range: Any, granularity: str) -> None:
        """Raise InputError where a format without ranges is given one."""
        if range is not None or granularity != "tensor":
            raise InputError(f"{self.name} takes no range and no granularity: its exponents come with its elements")

    def _rounding(self, mode: str | None, generator: Key | None) -> Rounding:
        from engine.kernels.rounding import make_rounding

        return make_rounding(mode or self.rounding, generator)

    def __repr__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Format) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


def normalize_axis(axis: int, dimensions: int) -> int:
    """``axis`` counted from the front. Raises InputError where the tensor has no such axis."""
    count = max(dimensions, 1)
    if not -count <= axis < count:
        raise InputError(
            f"axis {axis} is not an axis of a tensor of {dimensions} dimensions: allowed are {-count}…{count - 1}"
        )
    return axis % count


def check_granularity(granularity: str) -> None:
    """Raise InputError for another word than tensor, row or channel."""
    if granularity not in GRANULARITIES:
        raise InputError(f"unknown granularity {granularity!r}: allowed are {', '.join(GRANULARITIES)}")


def name_with(name: str, **options: Value | None) -> str:
    """``name(key=value,…)``, with the options that are not None."""
    given = ",".join(f"{key}={print_value(value)}" for key, value in options.items() if value is not None)
    return f"{name}({given})" if given else name


def take_options(name: str, options: Mapping[str, Value], allowed: Mapping[str, type]) -> dict[str, Any]:
    """The options, checked. Raises InputError for one that the format does not have, or of another type."""
    for key, value in options.items():
        if key not in allowed:
            known = ", ".join(allowed) or "none"
            raise InputError(f"the format {name!r} has no option {key!r}: its options are {known}")
        if type(value) is not allowed[key]:
            kind = "true or false" if allowed[key] is bool else "a whole number"
            raise InputError(f"the format {name!r}: {key} is {kind}, not {print_value(value)!r}")
    return dict(options)


@dataclass(frozen=True)
class Family(ABC):
    """A catalogue entry that makes the formats of one family from their names."""

    name: str
    summary: str
    source: str

    names: ClassVar[str]
    """The family's names, in short, for messages: "int1…int16"."""

    @abstractmethod
    def parse(self, name: str, options: Mapping[str, Value]) -> Format | None:
        """The format of this name; None where the name is not the family's.

        Raises InputError where it is, and its bits or options are not allowed.
        """

    @abstractmethod
    def formats(self) -> Iterable[Format]:
        """The family's named formats, widest last."""
