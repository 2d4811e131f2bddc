"""Densities of a ledger: memory by the elements that are read, arithmetic by the work (METHODS §9).

    memory      = Σ elements / Σ (elements / memory density)       = 32 / average bits, both harmonic means
    arithmetic  = Σ MACs / Σ (MACs / arithmetic density)            work-weighted harmonic mean

Scope ``inference`` counts forward products and aggregates, ``training`` the backward ones too, and what protection
leaves in fp32. Coverage ``quantized part`` leaves out what no rule of the scheme covers, ``whole step`` counts it as
fp32. What is kept for the backward pass is read by the backward products, and counted there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, Literal

from engine.costs import CostTable, default_table
from engine.errors import InputError
from engine.events import Densities, LedgerRow
from engine.formats import get_format
from engine.formats.base import Density
from engine.ledger.products import FORWARD, STASH
from engine.scheme import FP32, Scheme

Scope = Literal["inference", "training"]
Coverage = Literal["quantized part", "whole step"]

_LABELS = ("published", "interpolated", "extrapolated")


def in_scope(row: LedgerRow, scope: Scope, epoch: int | None = None) -> bool:
    """Whether a row counts: training is the sum of all epochs, inference what the model of one ``epoch`` runs."""
    if scope == "training":
        return row.product != STASH
    return row.product in FORWARD and (epoch is None or row.first_epoch <= epoch <= row.last_epoch)


def is_covered(row: LedgerRow) -> bool:
    """Whether a rule of the scheme covers the row."""
    return row.format != FP32.name if row.covered is None else row.covered


def last_epoch(rows: Iterable[LedgerRow]) -> int:
    """The last epoch of a ledger; 0 of an empty one."""
    return max((row.last_epoch for row in rows), default=0)


def densities(
    rows: Sequence[LedgerRow],
    scope: Scope,
    coverage: Coverage,
    epoch: int | None = None,
    table: CostTable | None = None,
) -> Densities:
    """The densities of a ledger for one scope and coverage; 1.0 where nothing in it is quantized.

    ``epoch``: the one whose model inference runs, the run's best; None: the last.
    Over epochs of several formats: the work-weighted harmonic mean, beside it [T]'s time-weighted arithmetic mean
    ("thesis mean"), and the memory density of the widest stretch, which is what must fit. ``table``: whose arithmetic
    densities (None: the published ones). Raises InputError where the table does not know a format of the rows.
    """
    table = table or default_table()
    at = last_epoch(rows) if epoch is None else epoch
    stretches: dict[tuple[int, int], _Sums] = {}
    for row in rows:
        if not in_scope(row, scope, at):
            continue
        sums = stretches.setdefault((row.first_epoch, row.last_epoch), _Sums(table))
        if coverage == "quantized part" and not is_covered(row):
            continue
        sums.add(row, scope)
    whole = _Sums(table)
    for sums in stretches.values():
        whole.join(sums)
    spans = [(last - first + 1, sums) for (first, last), sums in stretches.items()]
    counted = [(span, sums) for span, sums in spans if sum(sums.elements.values())] or [(1, whole)]
    return Densities(
        scope=scope,
        coverage=coverage,
        memory=float(Fraction(FP32.bits) / whole.bits),
        arithmetic=float(1 / whole.area),
        arithmetic_label=whole.label,
        average_bits=float(whole.bits),
        memory_thesis=float(arithmetic_mean([(span, FP32.bits / sums.bits) for span, sums in counted])),
        arithmetic_thesis=float(arithmetic_mean([(span, 1 / sums.area) for span, sums in counted])),
        peak_memory_density=float(min(FP32.bits / sums.bits for _, sums in counted)),
    )


class _Sums:
    """Elements, multiply-accumulates and metadata by format, over the epochs of the rows."""

    def __init__(self, table: CostTable) -> None:
        self.table = table
        self.elements: defaultdict[str, Fraction | int] = defaultdict(int)
        self.macs: defaultdict[tuple[str, str | None], Fraction | int] = defaultdict(int)
        self.metadata = 0

    def add(self, row: LedgerRow, scope: Scope) -> None:
        span = row.last_epoch - row.first_epoch + 1
        format, partner = row.format, row.partner
        self.metadata += span * row.metadata_bits
        if scope == "inference" or not row.protected:
            self.elements[format] += span * row.elements
            self.macs[format, partner] += span * row.macs
            return
        # In training the expected share of protected rows is fp32.
        left = Fraction(row.protected)
        self.elements[format] += span * row.elements * (1 - left)
        self.elements[FP32.name] += span * row.elements * left
        self.macs[format, partner] += span * row.macs * (1 - left)
        self.macs[FP32.name, None] += span * row.macs * left

    def join(self, other: _Sums) -> None:
        for format, count in other.elements.items():
            self.elements[format] += count
        for pair, count in other.macs.items():
            self.macs[pair] += count
        self.metadata += other.metadata

    # Exact fractions: one format alone gives its own densities to the last digit.
    @property
    def bits(self) -> Fraction:
        """Bits an element, metadata included."""
        total = sum(self.elements.values())
        if not total:
            return Fraction(FP32.bits)
        values = [(count, 1 / Fraction(get_format(name).bits)) for name, count in self.elements.items() if count]
        return 1 / harmonic_mean(values) + Fraction(self.metadata) / total

    @property
    def area(self) -> Fraction:
        """What a multiply-accumulate costs, in fp32's."""
        values = [(count, Fraction(found.value)) for count, found in self._priced()]
        return 1 / harmonic_mean(values) if values else Fraction(1)

    @property
    def label(self) -> Literal["published", "interpolated", "extrapolated"]:
        """How the least certain of the arithmetic densities is known."""
        return _LABELS[max((_LABELS.index(found.label) for _, found in self._priced()), default=0)]

    def _priced(self) -> list[tuple[Fraction | int, Density]]:
        found: list[tuple[Fraction | int, Density]] = []
        for (name, other), count in self.macs.items():
            if not count:
                continue
            format = get_format(name)
            density = self.table.density(format, None if other is None else get_format(other))
            if density is None:
                raise InputError(
                    f"the cost table {self.table.name!r} has no value for {format.name}: choose another one, or add "
                    f"[mac.{format.cost_family}] to it"
                )
            found.append((count, density))
        return found


def harmonic_mean(weighted: Iterable[tuple[Any, Any]]) -> Fraction:
    """Σ W / Σ (W/a) of (weight W, density a): the density of all the work together (METHODS §9)."""
    pairs = [(Fraction(weight), Fraction(value)) for weight, value in weighted]
    return sum((weight for weight, _ in pairs), Fraction(0)) / sum(
        (weight / value for weight, value in pairs), Fraction(0)
    )


def arithmetic_mean(weighted: Iterable[tuple[Any, Any]]) -> Fraction:
    """Σ w·a / Σ w of (epochs w, density a): [T]'s mean over time, which overstates what is saved (METHODS §9)."""
    pairs = [(Fraction(weight), Fraction(value)) for weight, value in weighted]
    return sum((weight * value for weight, value in pairs), Fraction(0)) / sum(
        (weight for weight, _ in pairs), Fraction(0)
    )


def all_densities(
    rows: Sequence[LedgerRow], scheme: Scheme, epoch: int | None = None, table: CostTable | None = None
) -> list[Densities]:
    """Each scope × coverage, the headline first; ``epoch``: whose model inference runs (None: the last).

    Headline: quantized part; scope ``training`` where the scheme quantizes gradients, else ``inference``.
    """
    headline = headline_scope(scheme)
    other: Scope = "inference" if headline == "training" else "training"
    coverages: tuple[Coverage, Coverage] = ("quantized part", "whole step")
    return [densities(rows, scope, coverage, epoch, table) for scope in (headline, other) for coverage in coverages]


def headline_scope(scheme: Scheme) -> Scope:
    """``training`` where the scheme quantizes gradients, else ``inference``."""
    return "training" if scheme.quantizes_gradients else "inference"
