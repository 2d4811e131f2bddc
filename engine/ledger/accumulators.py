"""Accumulators: the width that a run's integer products were found to need, against the width that a cost table prices.

A table's densities and energies hold for its ``accumulator_bits``; a product whose largest partial sum is wider would
overflow that accumulator (or need a wider one, which costs more).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.costs import CostTable


@dataclass(frozen=True)
class Accumulator:
    """What the sums of one operand's product need, in the recorded step of the epoch that needs most."""

    layer: int
    """Counted from 0."""
    part: str
    site: str
    product: str
    bits: int
    """Signed bits of the largest partial sum; of a large product, of those of its rows that were followed."""
    epoch: int


def needed_accumulators(rows: Iterable[Mapping[str, Any]]) -> list[Accumulator]:
    """The widest of each place over the epochs, by layer.

    ``rows``: of the diagnostics, as the store's query of that name has them, of any epochs. Products that add no
    integers (fp32, shared exponents) have none.
    """
    widest: dict[tuple[int, str, str, str], Accumulator] = {}
    for row in rows:
        if row["accumulator_bits"] is None:
            continue
        at = (row["layer"], row["part"], row["site"], row["product"])
        found = Accumulator(*at, bits=int(row["accumulator_bits"]), epoch=row["epoch"])
        if at not in widest or found.bits > widest[at].bits:
            widest[at] = found
    return sorted(widest.values(), key=lambda each: (each.layer, each.part, each.site, each.product))


def overflowing(rows: Iterable[Mapping[str, Any]], table: CostTable) -> list[Accumulator]:
    """Those that the table's accumulators are too narrow for; none where it names no width."""
    width = table.accumulator_bits
    return [] if width is None else [each for each in needed_accumulators(rows) if each.bits > width]


def accumulator_verdict(rows: Iterable[Mapping[str, Any]], table: CostTable) -> str | None:
    """A sentence for people: whether the table's accumulators hold the run's sums; None where nothing can be said."""
    rows = list(rows)
    needed, width = needed_accumulators(rows), table.accumulator_bits
    if not needed or width is None:
        return None
    too_wide = overflowing(rows, table)
    if not too_wide:
        return (
            f"The widest partial sum needs {max(each.bits for each in needed)} of the {width} bits of the accumulators."
        )
    places = ", ".join(
        f"layer {each.layer + 1}{f' ({each.part})' if each.part else ''} {each.site} ({each.bits} bits)"
        for each in too_wide
    )
    return f"Partial sums overflow accumulators of {width} bits at {places}: the table's costs do not hold there."
