"""logB and apotB: non-uniform levels, a sign and B − 1 bits, scaled so that the largest level is max|x|.

``logB``: 0 and the powers of two 2^0 … 2^−(2^(B−1)−2) (Miyashita et al., arXiv 1603.01025). ``apotB``: sums of two
powers of two (APoT, Li et al., ICLR 2020, arXiv 1909.13144, the sets of its released code): apot4 has the
levels {0, 1, 2, 3, 4, 6, 8, 10}/10, apot5 {0, 1/2, 1/8, 1/32} + {0, 1/4, 1/16, 1/64}, over their largest.
No density is published for them: arithmetic density is INT's at the same bits, labelled "extrapolated".
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from engine.errors import InputError
from engine.formats.base import (
    DensityLabel,
    Family,
    Format,
    Granularity,
    RoundingMode,
    check_granularity,
    normalize_axis,
    take_options,
)
from engine.grammar import Value

if TYPE_CHECKING:
    from torch import Tensor

    from engine.formats.encoded import Encoded
    from engine.kernels.levels import Levels
    from engine.randomness import Key

SUMS = {
    4: ((0, 2**-1, 2**-2, 2**-4), (0, 2**-3)),
    5: ((0, 2**-1, 2**-3, 2**-5), (0, 2**-2, 2**-4, 2**-6)),
}
"""The two sets of powers whose sums are the magnitudes of apot4 and apot5."""
LOG_BITS = range(2, 7)


@dataclass(frozen=True, eq=False, repr=False)
class LevelFormat(Format):
    kind: str
    width: int

    family = "levels"
    cost_family = "int"
    ranged: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return f"{self.kind}{self.width}"

    @property
    def bits(self) -> float:
        return float(self.width)

    def density_label(self, found: DensityLabel) -> DensityLabel:
        """Integers' densities stand in: a table for levels that are not evenly spaced is not published."""
        return "extrapolated"

    @property
    def magnitudes(self) -> tuple[float, ...]:
        """The non-negative levels, before they are scaled to end at 1."""
        if self.kind == "log":
            return (0.0, *(2.0**-k for k in range((1 << (self.width - 1)) - 1)))
        first, second = SUMS[self.width]
        return tuple(sorted({a + b for a in first for b in second}))

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
        from engine.kernels.levels import quantize_levels

        mode = self._rounding(rounding, generator)
        if x.numel() == 0:
            return x.detach().clone()
        axis = normalize_axis(axis, x.dim())
        return quantize_levels(x, _make_levels(self), self.reach(x, axis, range, granularity), axis, mode)

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
        from engine.kernels.bitplanes import pack
        from engine.kernels.finite import NonFiniteError
        from engine.kernels.levels import plain_levels

        mode = self._rounding(rounding, generator)
        wide = (x.detach() if x.dtype == torch.float64 else x.detach().float()).contiguous()
        codes = torch.empty(x.shape, dtype=torch.int32, device=x.device)
        metadata: tuple[Tensor, ...] = ()
        if x.numel():
            if not bool(torch.isfinite(torch.stack(torch.aminmax(wide))).all()):
                raise NonFiniteError(x)
            axis = normalize_axis(axis, x.dim())
            reach = self.reach(x, axis, range, granularity)
            plain_levels(wide, codes, _make_levels(self), reach, axis, mode, codes=True)
            kept = torch.as_tensor(reach, dtype=torch.float64, device=x.device)
            metadata = (kept.float() if bool((kept.float().double() == kept).all()) else kept,)
        return Encoded(self, pack(codes, self.width), metadata, tuple(x.shape), x.dtype, axis, granularity)

    def decode(self, encoded: Encoded) -> Tensor:
        import torch

        from engine.kernels.bitplanes import unpack
        from engine.kernels.levels import dequantize_levels

        codes = unpack(encoded.codes, math.prod(encoded.shape)).view(encoded.shape)
        if not encoded.metadata:
            return torch.empty(encoded.shape, dtype=encoded.dtype, device=codes.device)
        axis = normalize_axis(encoded.axis, len(encoded.shape))
        return dequantize_levels(codes, _make_levels(self), encoded.metadata[0], axis, encoded.dtype)

    def count_saturated(
        self, x: Tensor, axis: int = -1, *, range: Any = None, granularity: Granularity = "tensor"
    ) -> Tensor:
        if x.numel() == 0:
            return super().count_saturated(x)
        return (x.detach().abs() > self.reach(x, normalize_axis(axis, x.dim()), range, granularity)).sum()

    def charged_bits(self, shape: tuple[int, ...], axis: int = -1, granularity: Granularity = "tensor") -> int:
        check_granularity(granularity)
        count = math.prod(shape)
        lines = 1
        if granularity != "tensor" and shape:
            lines = count // max(shape[normalize_axis(axis, len(shape))], 1)
        return self.width * count + 32 * (lines if count else 0)

    def reach(self, x: Tensor, axis: int, range: Any, granularity: Granularity) -> Any:
        """The largest level: a float for one range on the CPU, else a float64 tensor."""
        from engine.kernels.range import observe, read_range

        check_granularity(granularity)
        along = None if granularity == "tensor" else axis
        low, high = observe(x, along) if range is None else read_range(range, x, along)
        if isinstance(low, float):
            return max(abs(low), abs(high))
        return low.double().abs().maximum(high.double().abs())


@cache
def _make_levels(format: LevelFormat) -> Levels:
    from engine.kernels.levels import make_levels

    return make_levels(format.magnitudes)


@dataclass(frozen=True)
class _LevelFamily(Family):
    names = f"log{LOG_BITS[0]}…log{LOG_BITS[-1]}, {', '.join(f'apot{width}' for width in SUMS)}"

    def parse(self, name: str, options: Mapping[str, Value]) -> Format | None:
        found = re.fullmatch(r"(log|apot)(\d+)", name)
        if not found:
            return None
        kind, width = found[1], int(found[2])
        allowed = LOG_BITS if kind == "log" else SUMS
        if width not in allowed:
            raise InputError(f"{name}: the bits of {kind} levels go from {min(allowed)} to {max(allowed)}")
        take_options(name, options, {})
        return LevelFormat(kind, width)

    def formats(self) -> Iterable[Format]:
        return [*(LevelFormat("log", width) for width in LOG_BITS), *(LevelFormat("apot", width) for width in SUMS)]


ENTRIES = [
    _LevelFamily("levels", "powers of two, or sums of two powers, and a sign", "Li et al., ICLR 2020, arXiv 1909.13144")
]
