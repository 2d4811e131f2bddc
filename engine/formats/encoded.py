"""A tensor in its packed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from engine.formats.base import Format, Granularity


@dataclass(frozen=True)
class Encoded:
    """Codes (bit planes, uint8 [width, ⌈numel/8⌉], or whole bytes) and what is shared: exponents, ranges."""

    format: Format
    codes: Tensor
    metadata: tuple[Tensor, ...]
    shape: tuple[int, ...]
    dtype: torch.dtype
    axis: int = -1
    granularity: Granularity = "tensor"

    @property
    def nbytes(self) -> int:
        """Bytes of codes and metadata."""
        return sum(part.numel() * part.element_size() for part in (self.codes, *self.metadata))

    def decode(self) -> Tensor:
        """The tensor, as ``fake_quantize`` would have made it."""
        return self.format.decode(self)
