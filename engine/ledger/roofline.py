"""The roofline: what a device attains in each product, and whether work or memory traffic bounds it (METHODS §9).

    attainable = min(peak·a(format), bandwidth·intensity)

peak: the device's fp32 multiply-accumulates a second; a: the arithmetic density of the product's formats, by a cost
table; intensity: the product's multiply-accumulates over the bytes that it reads and writes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from engine.costs import CostTable, default_table
from engine.errors import InputError
from engine.events import LedgerRow
from engine.formats import Format, get_format
from engine.ledger.densities import Scope, in_scope, last_epoch
from engine.ledger.figures import WITHOUT_WRITES, counts_writes, row_traffic
from engine.scheme import FP32


@dataclass(frozen=True)
class Point:
    """One product of one layer on the roofline; multiply-accumulates and bytes are of all the epochs of the scope."""

    name: str
    layer: int
    product: str
    format: str
    """Of most of its work."""
    macs: float
    bytes: float
    intensity: float
    """Multiply-accumulates a byte read or written."""
    attainable: float
    """Multiply-accumulates a second."""
    bound: Literal["work", "traffic"]


def roofline(
    rows: Sequence[LedgerRow],
    scope: Scope,
    *,
    peak: float,
    bandwidth: float,
    table: CostTable | None = None,
    epoch: int | None = None,
) -> list[Point]:
    """A point for each product of each layer that has work, in the order of the rows.

    ``peak``: fp32 multiply-accumulates a second, ``bandwidth``: bytes a second; ``epoch``: whose model inference runs.
    A product of several formats runs at their work-weighted harmonic mean. Raises InputError where the table does not
    know a format, or where the rows, of before, do not say what is written.
    """
    if rows and not counts_writes(rows):
        raise InputError(WITHOUT_WRITES)
    table = table or default_table()
    at = last_epoch(rows) if epoch is None else epoch
    products: defaultdict[tuple[int, str], list[LedgerRow]] = defaultdict(list)
    for row in rows:
        if in_scope(row, scope, at):
            products[row.layer, row.product].append(row)
    points: list[Point] = []
    for (layer, product), parts in products.items():
        work = _work(parts, scope)
        total = sum(work.values())
        moved = row_traffic(parts, scope)
        if not total or not moved:
            continue
        roof = peak * float(total / sum(count / _density(table, pair) for pair, count in work.items()))
        under = bandwidth * float(total) / moved
        points.append(
            Point(
                name=f"layer {layer}, {product.replace('_', ' ')}",
                layer=layer,
                product=product,
                format=max(work, key=lambda pair: work[pair])[0].name,
                macs=float(total),
                bytes=moved,
                intensity=float(total) / moved,
                attainable=min(roof, under),
                bound="work" if roof <= under else "traffic",
            )
        )
    return points


def _work(rows: Sequence[LedgerRow], scope: Scope) -> dict[tuple[Format, Format | None], Fraction]:
    found: defaultdict[tuple[Format, Format | None], Fraction] = defaultdict(Fraction)
    for row in rows:
        if not row.macs:
            continue
        span = row.last_epoch - row.first_epoch + 1 if scope == "training" else 1
        left = Fraction(row.protected) if scope == "training" else Fraction(0)
        pair = get_format(row.format), None if row.partner is None else get_format(row.partner)
        found[pair] += span * row.macs * (1 - left)
        if left:
            found[FP32, None] += span * row.macs * left
    return found


def _density(table: CostTable, pair: tuple[Format, Format | None]) -> Fraction:
    density = table.density(*pair)
    if density is None:
        raise InputError(
            f"the cost table {table.name!r} has no value for {pair[0].name}: choose another one, or add "
            f"[mac.{pair[0].cost_family}] to it"
        )
    return Fraction(density.value)
