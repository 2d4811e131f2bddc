"""Block formats in common: a box of values along the axis shares an 8-bit exponent (engine.kernels.blocks)."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from engine.formats.base import Format, Granularity, RoundingMode, normalize_axis

if TYPE_CHECKING:
    from torch import Tensor

    from engine.formats.encoded import Encoded
    from engine.kernels.blocks import Block
    from engine.randomness import Key


class BlockFormat(Format):
    """A format of ``element_bits`` bits an element, and a byte for each box of ``box`` values."""

    blocked: ClassVar[bool] = True

    box: int

    @property
    @abstractmethod
    def element_bits(self) -> int: ...

    @property
    @abstractmethod
    def block(self) -> Block:
        """The numbers that the kernels need."""

    @property
    @abstractmethod
    def least(self) -> float:
        """The least magnitude above zero of an element whose box has its largest value in [1, 2)."""

    def zero_up_to(self, low: float, high: float) -> float:
        largest = max(abs(low), abs(high))
        return math.ldexp(self.least / 2, math.frexp(largest)[1] - 1) if largest else 0.0

    @property
    def bits(self) -> float:
        return self.element_bits + 8 / self.box

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
        from engine.kernels.blocks import quantize_blocks

        self._refuse(range, granularity)
        return quantize_blocks(x, self.block, normalize_axis(axis, x.dim()), self._rounding(rounding, generator))

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
        from engine.formats.encoded import Encoded
        from engine.kernels.bitplanes import pack
        from engine.kernels.block_codes import encode_blocks

        self._refuse(range, granularity)
        mode = self._rounding(rounding, generator)
        codes, exponents = encode_blocks(x, self.block, normalize_axis(axis, x.dim()), mode, self.element_bits)
        return Encoded(self, pack(codes, self.element_bits), (exponents,), tuple(x.shape), x.dtype, axis)

    def decode(self, encoded: Encoded) -> Tensor:
        from engine.kernels.bitplanes import unpack
        from engine.kernels.block_codes import decode_blocks

        codes = unpack(encoded.codes, math.prod(encoded.shape)).view(encoded.shape)
        axis = normalize_axis(encoded.axis, len(encoded.shape))
        return decode_blocks(codes, encoded.metadata[0], self.block, axis, self.element_bits, encoded.dtype)

    def count_saturated(
        self, x: Tensor, axis: int = -1, *, range: Any = None, granularity: Granularity = "tensor"
    ) -> Tensor:
        from engine.kernels.blocks import count_saturated

        self._refuse(range, granularity)
        return count_saturated(x, self.block, normalize_axis(axis, x.dim()), self._rounding(None, None))

    def charged_bits(self, shape: tuple[int, ...], axis: int = -1, granularity: Granularity = "tensor") -> int:
        self._refuse(None, granularity)
        shape = shape or (1,)
        length = shape[normalize_axis(axis, len(shape))]
        boxes = math.prod(shape) // length * -(-length // self.box) if length else 0
        return self.element_bits * math.prod(shape) + 8 * boxes
