"""Where the bits are: the mean width of an element at each site of each layer."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from engine.events import LedgerRow
from engine.formats import get_format
from engine.ledger.densities import Scope
from engine.ledger.figures import Ledger, bits_of
from engine.ledger.products import STASH


@dataclass(frozen=True)
class SiteBits:
    """All that products read at a site of a layer; ``bits`` an element, ranges included, over the scope's epochs."""

    layer: int
    site: str
    bits: float
    elements: int
    """An epoch."""
    formats: tuple[str, ...]


def bits_by_site(ledger: Ledger, scope: Scope) -> list[SiteBits]:
    """Each site × layer that the scope reads, by layer; a training step's protected share counts as fp32."""
    places: defaultdict[tuple[int, str], list[LedgerRow]] = defaultdict(list)
    for row in ledger.in_scope(scope):
        if row.elements and row.product != STASH:
            places[row.layer, row.site].append(row)
    training = scope == "training"
    found: list[SiteBits] = []
    for (layer, site), rows in sorted(places.items()):
        spans = [row.last_epoch - row.first_epoch + 1 if training else 1 for row in rows]
        elements = sum(span * row.elements for span, row in zip(spans, rows, strict=True))
        bits = sum(span * bits_of(row, training=training) for span, row in zip(spans, rows, strict=True))
        epochs = ledger.epochs if training else 1
        formats = sorted({row.format for row in rows}, key=lambda name: get_format(name).bits)
        found.append(SiteBits(layer, site, bits / elements, round(elements / epochs), tuple(formats)))
    return found
