"""fp32, fp16 and bf16: IEEE and bfloat16 rounding of each element by itself.

fp16 and bf16 saturate at their largest value (65504; about 3.39·10^38); ``count_saturated`` counts it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from engine.formats.base import DensityLabel, Family, Format, Granularity, RoundingMode, take_options
from engine.grammar import Value

if TYPE_CHECKING:
    from torch import Tensor

    from engine.formats.encoded import Encoded
    from engine.kernels.blocks import Element
    from engine.randomness import Key


class Floating(Format):
    """Elements without a shared scale or range."""

    family = "float"
    cost_family = "float"

    def zero_up_to(self, low: float, high: float) -> float:
        return 0.0

    def charged_bits(self, shape: tuple[int, ...], axis: int = -1, granularity: Granularity = "tensor") -> int:
        self._refuse(None, granularity)
        return int(self.bits) * math.prod(shape)


class Fp32(Floating):
    @property
    def name(self) -> str:
        return "fp32"

    @property
    def bits(self) -> float:
        return 32.0

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
        """The tensor itself."""
        self._refuse(range, granularity)
        return x

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
        """The bytes of the tensor as it is, whatever its dtype."""
        import torch

        from engine.formats.encoded import Encoded

        self._refuse(range, granularity)
        codes = x.detach().contiguous().clone().view(-1).view(torch.uint8)
        return Encoded(self, codes, (), tuple(x.shape), x.dtype, axis)

    def decode(self, encoded: Encoded) -> Tensor:
        return encoded.codes.view(encoded.dtype).view(encoded.shape).clone()


@dataclass(frozen=True, eq=False, repr=False)
class Half(Floating):
    """fp16 or bf16, by its mantissa bits, least normal exponent and largest value."""

    title: str
    mantissa: int
    emin: int
    maximum: float

    @property
    def name(self) -> str:
        return self.title

    @property
    def bits(self) -> float:
        return 16.0

    def density_label(self, found: DensityLabel) -> DensityLabel:
        """fp16's is published; bf16 has as many bits."""
        return found if self.title == "fp16" else "interpolated"

    @cached_property
    def element(self) -> Element:
        from engine.kernels.blocks import Element

        return Element(self.mantissa, self.emin, self.maximum)

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
        from engine.kernels.blocks import quantize_elements

        self._refuse(range, granularity)
        return quantize_elements(x, self.element, self._rounding(rounding, generator))

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
        import torch

        from engine.formats.encoded import Encoded
        from engine.kernels.blocks import quantize_elements

        self._refuse(range, granularity)
        wide = x.detach() if x.dtype == torch.float64 else x.detach().float()
        rounded = quantize_elements(wide, self.element, self._rounding(rounding, generator))
        codes = rounded.to(self._dtype).view(-1).view(torch.uint8)
        return Encoded(self, codes, (), tuple(x.shape), x.dtype, axis)

    def decode(self, encoded: Encoded) -> Tensor:
        import torch

        from engine.kernels.layout import narrow

        values = encoded.codes.view(self._dtype).view(encoded.shape)
        return values.double() if encoded.dtype == torch.float64 else narrow(values.float(), encoded.dtype)

    def count_saturated(
        self, x: Tensor, axis: int = -1, *, range: Any = None, granularity: Granularity = "tensor"
    ) -> Tensor:
        self._refuse(range, granularity)
        return (x.detach().abs() > self.maximum).sum()

    @property
    def _dtype(self) -> Any:
        import torch

        return torch.float16 if self.title == "fp16" else torch.bfloat16


FORMATS: dict[str, Format] = {
    "bf16": Half("bf16", 7, -126, (2 - 2.0**-7) * 2.0**127),
    "fp16": Half("fp16", 10, -14, 65504.0),
    "fp32": Fp32(),
}


@dataclass(frozen=True)
class _FloatingFamily(Family):
    names = ", ".join(FORMATS)

    def parse(self, name: str, options: Mapping[str, Value]) -> Format | None:
        if name not in FORMATS:
            return None
        take_options(name, options, {})
        return FORMATS[name]

    def formats(self) -> Iterable[Format]:
        return FORMATS.values()


ENTRIES = [
    _FloatingFamily(
        "float",
        "floating point without a shared scale; fp32 is the reference",
        "IEEE 754; Rouhani et al., NeurIPS 2020",
    )
]
