"""How a figure's values of the cost table are known: given by the table, interpolated, or extrapolated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from engine.costs import CostTable
from engine.events import LedgerRow
from engine.formats import get_format
from engine.ledger.figures import Figure, Ledger

Certainty = Literal["published", "interpolated", "extrapolated"]
"""From the surest on; "published": the table has this very value, for one format or for a pair."""


def certainty(figure: Figure, ledger: Ledger) -> Certainty | None:
    """Of the least certain value that the figure takes; None where no cost table decides it, or it has no value."""
    if not figure.priced or figure.scope is None:
        return None
    if figure.coverage is None:
        return of_work(ledger.in_scope(figure.scope), ledger.table)
    found = ledger.densities(figure.scope, figure.coverage)
    return None if found is None else found.arithmetic_label


def of_work(rows: Iterable[LedgerRow], table: CostTable) -> Certainty | None:
    """Of the least certain value that the rows' multiply-accumulates take; None where the table lacks one."""
    pairs = {(row.format, row.partner) for row in rows if row.macs}
    values = [table.value(get_format(name), None if other is None else get_format(other)) for name, other in pairs]
    order = get_args(Certainty)
    known = [order.index(value.label) for value in values if value is not None]
    return order[max(known)] if known and len(known) == len(values) else None


def lacking(rows: Iterable[LedgerRow], table: CostTable) -> list[str]:
    """The formats of the rows' work that the table has no value for."""
    pairs = {(row.format, row.partner) for row in rows if row.macs}
    found = {
        max(get_format(name), get_format(other or name), key=lambda each: each.bits).name
        for name, other in pairs
        if table.value(get_format(name), None if other is None else get_format(other)) is None
    }
    return sorted(found)
