"""Integer formats in common: a range gives an evenly spaced grid (engine.kernels.grid).

A format says how m, d and c come from a range, once, for numbers (the CPU, a tensor's one range) and
for tensors (a range a line, or CUDA, where nothing waits for the device).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from engine.errors import InputError
from engine.formats.base import Format, Granularity, RoundingMode, check_granularity, normalize_axis

if TYPE_CHECKING:
    from torch import Tensor

    from engine.formats.encoded import Encoded
    from engine.kernels.grid import Grid
    from engine.randomness import Key


class Arithmetic(Protocol):
    """The few functions that a range's arithmetic needs, for numbers or for float64 tensors."""

    def minimum(self, a: Any, b: Any) -> Any: ...
    def maximum(self, a: Any, b: Any) -> Any: ...
    def absolute(self, a: Any) -> Any: ...
    def round(self, a: Any) -> Any: ...
    def frexp(self, a: Any) -> tuple[Any, Any]: ...
    def power_of_two(self, exponent: Any) -> Any: ...
    def choose(self, condition: Any, a: Any, b: Any) -> Any: ...


class Numbers:
    """Arithmetic on Python floats."""

    def minimum(self, a: float, b: float) -> float:
        return min(a, b)

    def maximum(self, a: float, b: float) -> float:
        return max(a, b)

    def absolute(self, a: float) -> float:
        return abs(a)

    def frexp(self, a: float) -> tuple[float, int]:
        return math.frexp(a)

    def round(self, a: float) -> float:
        return float(round(a))

    def power_of_two(self, exponent: int) -> float:
        return math.ldexp(1.0, exponent)

    def choose(self, condition: bool, a: Any, b: Any) -> Any:
        return a if condition else b


class Tensors:
    """The same arithmetic on float64 tensors: the same bits."""

    def minimum(self, a: Tensor, b: Any) -> Tensor:
        import torch

        return a.clamp(max=b) if isinstance(b, float) else torch.minimum(a, b)

    def maximum(self, a: Tensor, b: Any) -> Tensor:
        import torch

        return a.clamp(min=b) if isinstance(b, float) else torch.maximum(a, b)

    def absolute(self, a: Tensor) -> Tensor:
        return a.abs()

    def round(self, a: Tensor) -> Tensor:
        return a.round()

    def frexp(self, a: Tensor) -> tuple[Tensor, Tensor]:
        import torch

        fraction, exponent = torch.frexp(a)
        return fraction, exponent

    def power_of_two(self, exponent: Tensor) -> Tensor:
        import torch

        return (exponent.long() + 1023).bitwise_left_shift_(52).view(torch.float64)

    def choose(self, condition: Tensor, a: Any, b: Any) -> Tensor:
        import torch

        return torch.where(condition, a, b)


NUMBERS, TENSORS = Numbers(), Tensors()


class GridFormat(Format):
    """An integer format of ``width`` bits, with codes from ``first`` to ``last``."""

    ranged: ClassVar[bool] = True
    range_bits: ClassVar[int] = 64
    """Bits of a range in memory: two float32, from which scale and offset are computed in float64."""

    width: int

    @property
    def bits(self) -> float:
        return float(self.width)

    @property
    @abstractmethod
    def codes(self) -> tuple[int, int]:
        """The first and the last code."""

    def widen(self, low: Any, high: Any, on: Arithmetic) -> tuple[Any, Any]:
        """The range that the grid covers: what is observed, or more."""
        return low, high

    @abstractmethod
    def steps(self, low: Any, high: Any, on: Arithmetic) -> tuple[Any, Any, Any]:
        """(m, d, c) of a widened range with low < high."""

    def zero_up_to(self, low: float, high: float) -> float:
        low, high = self.widen(low, high, NUMBERS)
        if low == high:
            return 0.0
        m, d, c = self.steps(low, high, NUMBERS)
        if m or not float(d).is_integer():  # 0.0 is no level of this grid
            return 0.0
        return math.nextafter(c, 0.0) if self.rounding == "floor" else c / 2

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
        from engine.kernels.grid import quantize_grid

        mode = self._rounding(rounding, generator)
        if x.numel() == 0:
            return x.detach().clone()
        grid, _ = self.grid(x, axis, range, granularity)
        return quantize_grid(x, grid, mode, check=range is not None)

    def grid(
        self, x: Tensor, axis: int = -1, range: Any = None, granularity: Granularity = "tensor"
    ) -> tuple[Grid, Any]:
        """The grid of x, and the range that it comes from: numbers for one range on the CPU, else tensors."""
        from engine.kernels.range import observe, read_range

        axis = normalize_axis(axis, x.dim())
        check_granularity(granularity)
        along = None if granularity == "tensor" else axis
        found = observe(x, along) if range is None else read_range(range, x, along)
        return self.make_grid(*found, axis), found

    def make_grid(self, low: Any, high: Any, axis: int = -1) -> Grid:
        """The grid of a range: floats, or tensors of any float dtype that broadcast over the tensor."""
        from engine.kernels.grid import Grid

        first, last = self.codes
        if isinstance(low, float):
            low, high = self.widen(low, high, NUMBERS)
            if low == high:
                return Grid(low, math.inf, 0.0, 0.0, first, last, axis)
            if not math.isfinite(high - low):
                raise InputError(f"{self.name}: the range from {low:g} to {high:g} is wider than float64 can hold")
            m, d, c = self.steps(low, high, NUMBERS)
            return Grid(m, c, d, c, first, last, axis)
        import torch

        low, high = self.widen(low.double(), high.double(), TENSORS)
        one = low == high
        m, d, c = self.steps(low, torch.where(one, low + 1, high), TENSORS)
        zero = torch.zeros_like(low)
        m = torch.where(one, low, zero if m is None else m)
        d = torch.where(one, zero, zero if d is None else d)
        return Grid(m, torch.where(one, math.inf, c), d, torch.where(one, zero, c), first, last, axis)

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
        from engine.kernels.grid import plain_grid

        mode = self._rounding(rounding, generator)
        wide = x.detach().double() if x.dtype == torch.float64 else x.detach().float()
        codes = torch.empty(x.shape, dtype=torch.int32, device=x.device)
        if x.numel() == 0:
            return Encoded(self, pack(codes, self.width), (), tuple(x.shape), x.dtype, axis, granularity)
        if range is not None and not bool(torch.isfinite(torch.stack(torch.aminmax(wide))).all()):
            raise NonFiniteError(x)
        grid, found = self.grid(x, axis, range, granularity)
        plain_grid(wide.contiguous(), codes, grid, mode, codes=True)
        low, high = found
        metadata = self.range_to_metadata(low, high, wide)
        return Encoded(self, pack(codes, self.width), metadata, tuple(x.shape), x.dtype, axis, granularity)

    def range_to_metadata(self, low: Any, high: Any, x: Tensor) -> tuple[Tensor, ...]:
        """What is kept of a range; a range given in float64 that float32 does not hold is kept as it is."""
        import torch

        values = [torch.as_tensor(value, dtype=torch.float64, device=x.device) for value in (low, high)]
        exact = all(bool((value.float().double() == value).all()) for value in values)
        return tuple(value.float() if exact else value for value in values)

    def range_from_metadata(self, metadata: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """The inverse of ``range_to_metadata``, or another range that gives the same grid."""
        low, high = metadata
        return low, high

    def decode(self, encoded: Encoded) -> Tensor:
        import torch

        from engine.kernels.bitplanes import unpack
        from engine.kernels.grid import dequantize_grid

        count = math.prod(encoded.shape)
        codes = unpack(encoded.codes, count).view(encoded.shape)
        if count == 0:
            return torch.empty(encoded.shape, dtype=encoded.dtype, device=codes.device)
        low, high = self.range_from_metadata(encoded.metadata)
        axis = normalize_axis(encoded.axis, len(encoded.shape))
        if encoded.granularity == "tensor" and low.device.type == "cpu":
            low, high = float(low), float(high)
        return dequantize_grid(codes, self.make_grid(low, high, axis), encoded.dtype)

    def count_saturated(
        self, x: Tensor, axis: int = -1, *, range: Any = None, granularity: Granularity = "tensor"
    ) -> Tensor:
        from engine.kernels.grid import count_outside

        if x.numel() == 0:
            return super().count_saturated(x)
        return count_outside(x, self.grid(x, axis, range, granularity)[0], self._rounding(None, None))

    def charged_bits(self, shape: tuple[int, ...], axis: int = -1, granularity: Granularity = "tensor") -> int:
        check_granularity(granularity)
        count = math.prod(shape)
        lines = (
            1 if granularity == "tensor" else count // max(shape[normalize_axis(axis, len(shape))], 1) if shape else 1
        )
        return self.width * count + self.range_bits * (lines if count else 0)
