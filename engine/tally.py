"""What the live quantizers do in a step: format, elements and ranges of each tensor, counted; no number changes.

    with counted(live) as tally:
        ...                      # a training step, or an evaluation
    tally.rows

The cost ledger is checked against it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from engine.formats import Format
from engine.scheme import FP32

if TYPE_CHECKING:
    from engine.live import LiveScheme


@dataclass(frozen=True)
class Quantized:
    """The elements of one tensor that were quantized to one format."""

    layer: int
    part: str
    site: str
    product: str
    format: str
    elements: int
    metadata_bits: int
    """Of ranges, where each line has one, and of learned steps and widths."""
    protected: int
    """How many of the elements stayed in fp32."""


class Tally:
    """Counts what ``engine.live.Sites`` quantizes."""

    def __init__(self) -> None:
        self.rows: list[Quantized] = []

    def note(
        self,
        at: tuple[int, str, str, str],
        quantizer: nn.Module,
        shape: tuple[int, ...],
        axis: int,
        bucket: Tensor | None,
        protected: Tensor | None,
        left: Tensor | None = None,
    ) -> None:
        """A tensor of this shape at (layer, part, site, product); ``protected`` [rows], ``left`` (its elements): in
        fp32 in this step."""
        from engine.live import ByBucket

        if isinstance(quantizer, ByBucket):
            assert bucket is not None
            counts = torch.bincount(bucket, minlength=max(quantizer.buckets) + 1).tolist()
            for number, count in enumerate(counts):
                rows = bucket == number
                part = quantizer.parts[quantizer.buckets.index(number)] if number in quantizer.buckets else None
                inside = None if protected is None else protected[rows]
                if count:
                    self._tensor(at, part, (count, *shape[1:]), axis, inside, None)
            return
        self._tensor(at, quantizer, shape, axis, protected, left)

    def _tensor(
        self,
        at: tuple[int, str, str, str],
        quantizer: nn.Module | None,
        shape: tuple[int, ...],
        axis: int,
        protected: Tensor | None,
        left: Tensor | None,
    ) -> None:
        total = math.prod(shape)
        spared = 0 if left is None else int((~left).sum())
        if protected is not None:
            spared = int(protected.sum()) * (total // max(shape[0], 1))
        formats, metadata = _formats(quantizer, shape, axis)
        for format, share in formats.items():
            # Ranges belong to the tensor, and are noted once.
            self.rows.append(Quantized(*at, format.name, share, metadata, spared))
            metadata = spared = 0


def _formats(quantizer: nn.Module | None, shape: tuple[int, ...], axis: int) -> tuple[dict[Format, int], int]:
    """(elements by format, bits of ranges)."""
    from engine.learned_bits import LearnedSteps, NodeBits, node_format
    from engine.quantizer import Quantizer

    total = math.prod(shape)
    if quantizer is None:
        return {FP32: total}, 0
    if isinstance(quantizer, NodeBits):
        bits = quantizer.bits_in_use()
        counts = torch.bincount(bits).tolist()
        width = total // max(len(bits), 1)
        pairs = quantizer.learning.groups or len(bits)
        return {node_format(b): count * width for b, count in enumerate(counts) if count}, pairs * (32 + 4)
    if isinstance(quantizer, LearnedSteps):
        return {quantizer.format: total}, 32 * quantizer.step.numel()
    assert isinstance(quantizer, Quantizer), f"{type(quantizer).__name__} is no quantizer that is known here"
    format = quantizer.format
    if not format.ranged or quantizer.granularity == "tensor":
        return {format: total}, 0
    return {format: total}, format.charged_bits(shape, axis, quantizer.granularity) - int(format.bits * total)


@contextmanager
def counted(live: LiveScheme) -> Iterator[Tally]:
    """Within it, each tensor that is quantized is counted."""
    tally = live.tally = Tally()
    try:
        yield tally
    finally:
        live.tally = None
