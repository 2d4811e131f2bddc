"""Where accuracy is lost: what quantization does to each tensor, and to the nodes of each degree bucket.

In a few steps of a run each quantized tensor is compared with what it was: signal to quantization noise,
saturation, zeroed gradients; and beside them the width of accumulator that its integer product needs. Rows that are
protected in that step are left out: they were not quantized.
Buckets are the quartiles of the nodes' in-degrees (fewer where quartiles coincide).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from engine.accumulators import Step, integers, product_bits, step_of, sum_bits
from engine.events import DiagnosticRow
from engine.formats import Format
from engine.formats.grid import GridFormat
from engine.kernels.compare import NOISE, OUTSIDE, ROWS, SIGNAL, THERE, ZEROED, compare_rows

if TYPE_CHECKING:
    from engine.kernels.aggregate import Adjacency
    from engine.layers.operand import Operand
    from engine.topology import Topology

At = tuple[int, str, str, str]
"""(layer, part, site, product)"""

MOST_EPOCHS = 5
"""Epochs of a run that are looked into; each costs a few times a training step."""
PART = 1 << 18
"""Elements of a tensor that are compared at a time."""


def epochs_to_record(total: int) -> frozenset[int]:
    """The first epoch, the last, and those evenly between them."""
    return frozenset(round(1 + (total - 1) * k / (MOST_EPOCHS - 1)) for k in range(MOST_EPOCHS))


@dataclass(frozen=True)
class DegreeBuckets:
    """``bucket`` [N] of each node; ``degrees``: the least and the largest in-degree that lie in each."""

    bucket: Tensor
    degrees: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, in_degree: Tensor) -> DegreeBuckets:
        """By quartiles of the nodes; nodes of equal degree share a bucket."""
        ordered = in_degree.sort().values
        n = ordered.numel()
        cuts = sorted({int(ordered[n * k // 4]) for k in (1, 2, 3)} - {int(ordered[0])}) if n else []
        points = torch.tensor(cuts, dtype=in_degree.dtype, device=in_degree.device)
        bucket = torch.bucketize(in_degree, points, right=True).to(torch.uint8)
        inside = [in_degree[bucket == k] for k in range(len(cuts) + 1)]
        return cls(bucket, tuple((int(d.min()), int(d.max())) for d in inside if d.numel()))


class Recorder:
    """Collects the rows of one step; ``rows`` may be asked for once the step is over."""

    dense = False

    def __init__(self) -> None:
        self.rows: list[DiagnosticRow] = []
        self._buckets: tuple[Topology, DegreeBuckets] | None = None
        self._steps: dict[At, tuple[Step | None, Tensor | None]] = {}

    @torch.no_grad()
    def record(
        self,
        at: tuple[int, str, str, str],
        x: Tensor,
        out: Tensor,
        quantizer: nn.Module,
        format: Format,
        axis: int,
        protected: Tensor | None,
        rows: Any,
        topology: Topology | None,
        width: int | None = None,
    ) -> None:
        """One tensor ``x`` and its quantized values ``out``, at (layer, part, site, product).

        ``protected`` [rows]: which rows are. ``width``: x [nnz] are the entries of a sparse matrix of so many
        columns, ``rows`` their rows, and ``protected`` is of the nodes.
        """
        site = at[2]
        x, out = x.detach(), out.detach()
        of_rows = None if width is not None else protected
        self._steps[at] = (step_of(x, quantizer, axis, of_rows), None if protected is None else ~protected)
        kept = None if protected is None else ~protected
        if kept is not None and width is not None:
            kept = kept[rows]
        if protected is None and width is None and _is_plain(x, quantizer):
            self._record_plain(at, x, out, quantizer, format, axis, rows, topology)
            return
        for bucket, degrees, index in self._parts(x, site, rows, kept, topology):
            before, after = (x, out) if index is None else (x[index], out[index])
            if not before.numel():
                continue
            saturated = _saturated(before, quantizer, format, axis, whole=index is None, all_rows=x)
            elements = before.numel()
            if width is not None:
                # Zeros that are not stored come out as zeros: no noise, no saturation, no lost gradient.
                elements = self._nodes(bucket, protected, topology) * width
                saturated = None if saturated is None else saturated * before.numel() / elements
            zeroed = _zeroed(site, before, after, quantizer, saturated)
            self._add(at, format, bucket, degrees, elements, _sqnr(before, after), saturated, zeroed)

    def _add(
        self,
        at: At,
        format: Format,
        bucket: int | None,
        degrees: tuple[int | None, int | None],
        elements: int,
        sqnr: float | None,
        saturated: float | None,
        zeroed: float | None,
    ) -> None:
        layer, part, site, product = at
        self.rows.append(
            DiagnosticRow(
                layer=layer,
                part=part,
                site=site,
                product=product,
                format=format.name,
                bucket=bucket,
                least_degree=degrees[0],
                most_degree=degrees[1],
                elements=elements,
                sqnr=sqnr,
                saturated=saturated,
                zeroed=zeroed,
            )
        )

    def take(self, other: Recorder, at: At) -> None:
        """What another recorder has found of one place, as if it had been recorded here."""
        self.rows += other.rows
        self._steps[at] = other._steps[at]
        self._buckets = self._buckets or other._buckets

    def _record_plain(
        self,
        at: At,
        x: Tensor,
        out: Tensor,
        quantizer: Any,
        format: Format,
        axis: int,
        rows: Any,
        topology: Topology | None,
    ) -> None:
        """``record`` of a matrix with one range of its own or none, all of whose rows are quantized: in one pass."""
        site = at[2]
        degrees: tuple[tuple[int, int], ...] = ()
        label = torch.zeros(x.shape[0], dtype=torch.int64)
        if (of_row := self._bucket_of(x, site, rows, topology)) is not None:
            assert self._buckets is not None
            label, degrees = of_row.long(), self._buckets[1].degrees
        grid = format.grid(x, axis)[0] if isinstance(format, GridFormat) else None
        table = compare_rows(x, out, label, max(len(degrees), 1), grid)
        # Boxes down the rows belong to no row.
        apart = grid is not None or axis % 2 == 1
        if grid is None and apart:
            for number in range(len(table)):
                table[number, OUTSIDE] = float(format.count_saturated(x[label == number], axis))
        total = table.sum(0)
        if not apart:
            total[OUTSIDE] = float(format.count_saturated(x, axis))

        def row(bucket: int | None, values: Any, ends: tuple[int | None, int | None]) -> None:
            if not (elements := int(values[ROWS]) * x.shape[1]):
                return
            saturated = float(values[OUTSIDE] / elements) if apart or bucket is None else None
            there = values[THERE] if site == "gradient" else 0
            zeroed = float(values[ZEROED] / there) if there else 0.0
            self._add(at, format, bucket, ends, elements, decibels(values[SIGNAL], values[NOISE]), saturated, zeroed)

        row(None, total, (None, None))
        for number, ends in enumerate(degrees):
            row(number, table[number], ends)

    def _bucket_of(self, x: Tensor, site: str, rows: Any, topology: Topology | None) -> Tensor | None:
        """The degree bucket of each row; None where rows are no nodes'."""
        if topology is None:
            return None
        if site == "gradient" and rows is None and x.shape[0] == topology.nodes:
            rows = "nodes"
        if rows is None:
            return None
        if self._buckets is None or self._buckets[0] is not topology:
            self._buckets = (topology, DegreeBuckets.of(topology.in_degree))
        buckets = self._buckets[1]
        return buckets.bucket[rows] if isinstance(rows, Tensor) else buckets.bucket

    @torch.no_grad()
    def multiplied(self, x_at: At, x: Operand, weight_at: At, weight: Tensor) -> None:
        """X̂·Ŵᵀ, of operands that were recorded: notes the accumulator that it needs on the row of X."""
        if x_at not in self._steps or weight_at not in self._steps or weight.is_cuda:
            return
        step, kept = self._steps[x_at]
        numbers = integers(weight, self._steps[weight_at][0])
        self._note(x_at, product_bits(x, step, numbers, kept))

    @torch.no_grad()
    def summed(self, at: At, message: Tensor, adjacency: Adjacency) -> None:
        """The sum over neighbours of messages that were recorded."""
        if at in self._steps and not message.is_cuda:
            step, kept = self._steps[at]
            self._note(at, sum_bits(message.detach(), step, adjacency, kept))

    def _note(self, at: At, bits: int | None) -> None:
        if bits is None:
            return
        for index, row in enumerate(self.rows):
            if row.bucket is None and (row.layer, row.part, row.site, row.product) == at:
                self.rows[index] = row.model_copy(update={"accumulator_bits": bits})

    def _nodes(self, bucket: int | None, protected: Tensor | None, topology: Topology | None) -> int:
        """How many nodes of a bucket are not protected."""
        assert topology is not None, "a sparse constant's rows are nodes"
        inside = torch.ones(topology.nodes, dtype=torch.bool, device=topology.edge_index.device)
        if bucket is not None:
            assert self._buckets is not None
            inside = self._buckets[1].bucket == bucket
        return int((inside if protected is None else inside & ~protected).sum())

    def _parts(
        self, x: Tensor, site: str, rows: Any, kept: Tensor | None, topology: Topology | None
    ) -> Iterator[tuple[int | None, tuple[int | None, int | None], Tensor | None]]:
        yield None, (None, None), None if kept is None else kept.nonzero().squeeze(1)
        of_row = self._bucket_of(x, site, rows, topology)
        if of_row is None:
            return
        assert self._buckets is not None
        for number, degrees in enumerate(self._buckets[1].degrees):
            inside = of_row == number
            yield number, degrees, (inside if kept is None else inside & kept).nonzero().squeeze(1)


def _is_plain(x: Tensor, quantizer: nn.Module) -> bool:
    """Whether it is a matrix on the CPU, straight through a quantizer whose only range is the matrix' own."""
    from engine.quantizer import Quantizer

    if type(quantizer) is not Quantizer or quantizer.estimator != "ste":
        return False
    own = quantizer.range_name == "min-max" and quantizer.granularity == "tensor"
    return (own or not quantizer.format.ranged) and x.dim() == 2 and x.dtype == torch.float32 and not x.is_cuda


def _sqnr(before: Tensor, after: Tensor) -> float | None:
    signal = noise = 0.0
    # In parts: looking must not take more memory than the step that is looked into.
    for x, y in zip(before.reshape(-1).split(PART), after.reshape(-1).split(PART), strict=True):
        signal += float(x.square().sum(dtype=torch.float64))
        noise += float((x - y).square_().sum(dtype=torch.float64))
    return decibels(signal, noise)


def decibels(signal: float, noise: float) -> float | None:
    """10·log10 of signal over noise; None where one of them is nothing."""
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else None


def _saturated(
    x: Tensor, quantizer: nn.Module, format: Format, axis: int, *, whole: bool, all_rows: Tensor
) -> float | None:
    """The share of the elements that the end codes cut short; None where it cannot be told for these rows."""
    from engine.quantizer import Quantizer

    if not isinstance(quantizer, Quantizer) or quantizer.estimator == "lsq":
        return None
    if not whole and axis % x.dim() == 0 and (format.blocked or quantizer.granularity != "tensor"):
        return None
    settings: dict[str, Any] = {}
    if format.ranged:
        settings["granularity"] = quantizer.granularity
        low, high = getattr(quantizer.range, "low", None), getattr(quantizer.range, "high", None)
        if low is not None and high is not None:
            if bool(torch.isnan(low).any()) or low.dim() > 0:
                return None
            settings["range"] = (low, high)
        elif quantizer.range_name == "min-max":
            if not whole and quantizer.granularity == "tensor":
                settings["range"] = tuple(torch.aminmax(all_rows))
        else:
            return None
    return float(format.count_saturated(x, axis, **settings)) / x.numel()


def _zeroed(site: str, before: Tensor, after: Tensor, quantizer: nn.Module, saturated: float | None) -> float | None:
    if site == "gradient":
        there = before != 0
        count = int(there.sum())
        return float((there & (after == 0)).sum()) / count if count else 0.0
    estimator = getattr(quantizer, "estimator", None)
    if estimator == "ste":
        return 0.0
    if estimator == "clipped":
        return saturated
    if estimator == "clipped-inclusive" and isinstance(getattr(quantizer, "format", None), GridFormat):
        # The end codes lose their gradient too.
        ends = torch.aminmax(after)
        return float(((after <= ends.min) | (after >= ends.max)).sum()) / after.numel()
    return None
