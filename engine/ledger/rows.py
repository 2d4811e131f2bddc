"""From products to rows: how a scheme quantizes what enters and leaves each product.

A row is one operand of one product of one layer over a range of epochs, or a tensor that is quantized on its own
after it. The product's multiply-accumulates stand on the row of its wider operand (mixed operands run at the wider
one's density, METHODS §9); where that meets several partner formats, or protected parts, further rows of the same
operand carry the rest, with no elements. ``written`` stands on the row of the site where a product's result is first
quantized.

Protection ([DQ]'s nodes, nQAT's weight elements) is charged by its expectation: a row says which share of it a
training step leaves in fp32; a product with a protected operand runs in fp32. The masks are rows of the product
"mask", a bit a node of each layer, or a bit a weight element.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from engine.datasets import Messages
from engine.errors import InputError
from engine.events import LedgerRow
from engine.formats import Format, get_format
from engine.ledger.products import FORWARD, MASK, STASH, Operand, Product, Written
from engine.ledger.stash import Facts, Kept
from engine.scheme import FP32, DegreeProtection, Rule, Scheme

Degrees = Sequence[tuple[int, int]]
"""(in-degree, nodes) of a graph."""

Spread = Callable[[Rule, int], Sequence[tuple[Format, Fraction]]]
"""The formats of a rule's elements in a layer, with their shares."""

BIT = get_format("int1")
"""What an element of a mask takes."""


def as_planned(rule: Rule, layer: int) -> Sequence[tuple[Format, Fraction]]:
    return rule.quantization.spread()


def ledger_rows(
    products: Sequence[Product],
    scheme: Scheme,
    epochs: int,
    degrees: Degrees | None = None,
    spread: Spread = as_planned,
    first_epoch: int = 1,
    kept: Iterable[Kept] = (),
    batches: int = 1,
    messages: Messages | None = None,
) -> list[LedgerRow]:
    """The ledger of a stretch of epochs that keeps one scheme.

    ``degrees``: of the graph, for schemes with degree buckets (and, where known, for the share that protection leaves
    in fp32). ``spread``: where formats are learned, what they have become. Raises InputError where the degrees are
    needed and not known. ``kept``: what a step keeps for its backward pass, of ``batches`` steps an epoch.
    ``messages``: who sends them, where the degrees do not tell.
    """
    last_epoch = first_epoch + epochs - 1
    resolver = _Resolver(scheme, degrees, spread, messages)
    found = itertools.chain.from_iterable(map(resolver.rows, products))
    return [
        LedgerRow(first_epoch=first_epoch, last_epoch=last_epoch, **row)
        for row in itertools.chain(found, resolver.masks(products), resolver.stash(kept, batches))
    ]


@dataclass(frozen=True)
class _Part:
    """The elements of a tensor that have one format."""

    site: str
    format: Format
    share: Fraction
    elements: int
    metadata_bits: int = 0
    covered: bool = True
    protected: Fraction = Fraction(0)


_Work = dict[tuple[str | None, Fraction], Fraction]
"""(partner, protected share) → multiply-accumulates."""


def _charge(macs: int, operands: Sequence[Sequence[_Part]]) -> list[list[_Work]]:
    """Each product of parts works at its wider operand's density: the multiply-accumulates of each part."""
    works: list[list[_Work]] = [[defaultdict(Fraction) for _ in parts] for parts in operands]
    for chosen in itertools.product(*(range(len(parts)) for parts in operands)) if operands else ():
        parts = [parts[index] for parts, index in zip(operands, chosen, strict=True)]
        widest = max(range(len(parts)), key=lambda i: parts[i].format.bits)
        others = [part.format.name for index, part in enumerate(parts) if index != widest]
        partner = others[0] if others and others[0] != parts[widest].format.name else None
        protected = 1 - math.prod(1 - part.protected for part in parts)
        works[widest][chosen[widest]][partner, Fraction(protected)] += macs * math.prod(part.share for part in parts)
    return works


class _Resolver:
    """What a scheme makes of tensors, on a graph of these degrees."""

    def __init__(
        self, scheme: Scheme, degrees: Degrees | None, spread: Spread, messages: Messages | None = None
    ) -> None:
        self.scheme, self.degrees, self.spread, self.messages = scheme, degrees, spread, messages
        self._shares_left: dict[bool, Fraction] = {}

    def rows(self, product: Product) -> Iterator[dict]:
        """The rows of one product."""
        operands = [self.resolve(operand, product) for operand in product.operands]
        for parts, works in zip(operands, _charge(product.macs, operands), strict=True):
            for part, work in zip(parts, works, strict=True):
                yield from self._of_part(product, part, work)
        for operand in product.operands:
            for parts in self._passed(operand, product):
                for part in parts:
                    yield self._row(product, part)
        written = None if product.written is None else self._written(product, product.written)
        for result in product.results:
            if result.only_covered and not self.covers(result, product):
                continue
            parts = self.resolve(result, product)
            # A result that is quantized here for the first time is written as it is.
            here = written is not None and written[0] == (result.sites[0], product.name, product.layer)
            if here or (written is not None and written[0] is None and not result.only_covered):
                written = None
                for part in parts:
                    yield {**self._row(product, part), "written": part.elements}
            else:
                for part in parts:
                    yield self._row(product, part)
        if written is not None:
            for part in written[1]:
                yield {**self._row(product, part), "elements": 0, "metadata_bits": 0, "written": part.elements}

    def masks(self, products: Sequence[Product]) -> Iterator[dict]:
        """A bit a node and layer (or, ``per="forward"``, a node), or a bit a weight element, of protection."""
        protection = self.scheme.protection
        layers: dict[int, int] = {}
        weights: dict[int, int] = {}
        for product in products:
            for operand in (*product.operands, *product.results):
                if not self._protected(operand, product):
                    continue
                if operand.of in ("nodes", "mlp"):
                    layers[product.layer] = max(layers.get(product.layer, 0), operand.rows)
                elif operand.sites == ("weight",) and product.name in FORWARD:
                    weights[product.layer] = weights.get(product.layer, 0) + operand.elements
        if protection is not None and protection.per != "layer" and layers:
            layers = {min(layers): max(layers.values())}
        for site, bits in (("node", layers), ("weight", weights)):
            for layer, count in bits.items():
                yield {
                    "layer": layer,
                    "product": MASK,
                    "site": site,
                    "format": BIT.name,
                    "macs": 0,
                    "elements": 0,
                    "metadata_bits": count,
                    "covered": True,
                }

    def stash(self, kept: Iterable[Kept], batches: int) -> Iterator[dict]:
        """What is kept for the backward pass, each tensor in its format; elements of an epoch, held bytes of a step."""
        facts = Facts(self.scheme)
        for each in kept:
            elements = round(each.elements(facts))
            held = round(each.held(facts) / (1 if each.every_step else batches))
            if not elements and not held:
                continue
            parts = [_Part(each.site, BIT if each.mask else FP32, Fraction(1), elements, covered=False)]
            for site, name, layer in each.places if elements else ():
                operand = Operand((site,), elements // each.width, each.width, each.of)
                product = Product(name, layer, 0, ())
                rules = self._rules(operand, (site, name, layer))
                if rules:
                    parts = self._parts(operand, each.site, rules, product)
                    break
            for number, part in enumerate(parts):
                row = self._row(Product(STASH, each.layer, 0, ()), part)
                yield {**row, "held_bytes": 0 if number else held}

    def resolve(self, operand: Operand, product: Product) -> list[_Part]:
        """The parts of an operand by format: quantized at the first of its sites that a rule covers, else fp32."""
        for site in operand.sites:
            rules = self._rules(operand, (site, product.name, product.layer))
            if rules:
                return self._parts(operand, site, rules, product)
        if operand.otherwise is not None:
            return self.resolve(operand.otherwise, product)
        return [_Part(operand.sites[-1], FP32, Fraction(1), operand.elements, covered=False)]

    def covers(self, operand: Operand, product: Product) -> bool:
        found = [self.scheme.covering(site, product.name, product.layer) for site in operand.sites]
        return any(rules and (not operand.constant or rules[0].quantization.stashes_constants) for rules in found)

    def _rules(self, operand: Operand | Written, place: tuple[str, str, int]) -> tuple[Rule, ...]:
        rules = self.scheme.covering(*place)
        # What has no degree (a readout's graphs) is not quantized by degree.
        return rules if rules and (rules[0].bucket is None or operand.of is not None) else ()

    def _passed(self, operand: Operand, product: Product) -> Iterator[list[_Part]]:
        """An operand that more than one of its sites quantizes: what it was before the nearest one."""
        covered = [site for site in operand.sites if self._rules(operand, (site, product.name, product.layer))]
        for site in covered[1:]:
            yield self._parts(operand, site, self._rules(operand, (site, product.name, product.layer)), product)

    def _parts(self, operand: Operand, site: str, rules: Sequence[Rule], product: Product) -> list[_Part]:
        found: dict[tuple[Format, bool], _Part] = {}

        def add(part: _Part) -> None:
            # Buckets of one format are one part.
            before = found.get((part.format, part.covered))
            if before is not None:
                part = replace(
                    part,
                    share=before.share + part.share,
                    elements=before.elements + part.elements,
                    metadata_bits=before.metadata_bits + part.metadata_bits,
                )
            found[part.format, part.covered] = part

        protected = self._protected(operand, product)
        for rule, share in self._shares(operand, rules):
            if rule is None:
                add(_Part(site, FP32, share, round(operand.elements * share), covered=False))
                continue
            metadata = rule.quantization.metadata_bits(round(operand.rows * share), operand.width)
            for format, part in self.spread(rule, product.layer):
                exact = share * part
                elements, bits = round(operand.elements * exact), round(metadata * part)
                add(_Part(site, format, exact, elements, bits, protected=protected))
        return list(found.values())

    def _shares(self, operand: Operand | Written, rules: Sequence[Rule]) -> list[tuple[Rule | None, Fraction]]:
        """The rule of each degree bucket, with the bucket's share of the rows."""
        if rules[0].bucket is None:
            return [(rules[0], Fraction(1))]
        if self.degrees is None:
            raise InputError(
                f"the densities of {self.scheme.text!r} depend on the graph's degrees, which are known once the "
                "dataset was loaded: train on it once, or name formats that do not go by degree"
            )
        by_bucket = self.scheme.bucket_shares(self._counts(edges=operand.of == "edges"))
        given = {rule.bucket: rule for rule in rules}
        return [(given.get(bucket), share) for bucket, share in enumerate(by_bucket) if share]

    def _counts(self, *, edges: bool) -> Degrees:
        """(in-degree, nodes), or (in-degree of the sender, messages).

        Where nobody has counted these, a node sends as many as it gets, as in an undirected graph, and one to itself.
        """
        assert self.degrees is not None
        if not edges:
            return self.degrees
        if self.messages is not None:
            return self.messages.by_degree
        return [(degree, count * (degree + 1)) for degree, count in self.degrees]

    def _written(self, product: Product, written: Written) -> tuple[tuple[str, str, int] | None, list[_Part]]:
        """(the first place that quantizes it, its parts); None and fp32 where none does."""
        elements = written.rows * written.width
        for place in written.places:
            rules = self._rules(written, place)
            if not rules:
                continue
            parts: list[_Part] = []
            for rule, share in self._shares(written, rules):
                if rule is None:
                    parts.append(_Part(place[0], FP32, share, round(elements * share), covered=False))
                    continue
                for format, part in self.spread(rule, place[2]):
                    parts.append(_Part(place[0], format, share * part, round(elements * share * part)))
            return place, parts
        return None, [_Part(written.site, FP32, Fraction(1), elements, covered=False)]

    def _protected(self, operand: Operand, product: Product) -> Fraction:
        """The expected share of a tensor's rows (of a weight: its elements) that a training step leaves in fp32."""
        scheme = self.scheme
        covered = any(scheme.covering(site, product.name, product.layer) for site in operand.sites)
        if operand.sites == ("weight",):
            chance = scheme.weight_probability if covered else None
            return Fraction(0) if chance is None else 1 - _exact(chance)
        protection = scheme.protection
        # What flows backward is quantized whoever is protected.
        if protection is None or operand.of is None or not covered or operand.sites == ("gradient",):
            return Fraction(0)
        if operand.of == "mlp" and not protection.gin_mlp_masked:
            return Fraction(0)
        edges = operand.of == "edges"
        if edges not in self._shares_left:
            self._shares_left[edges] = protected_share(protection, self.degrees, self.messages, edges=edges)
        return self._shares_left[edges]

    def _of_part(self, product: Product, part: _Part, work: _Work) -> Iterator[dict]:
        """The rows of an operand's part: the first has its elements and what work is as protected as they are."""
        rows = [(partner, protected, round(macs)) for (partner, protected), macs in work.items() if round(macs)]
        rows.sort(key=lambda row: row[1] != part.protected)
        if rows and rows[0][1] == part.protected:
            partner, _, macs = rows.pop(0)
            yield {**self._row(product, part), "macs": macs, "partner": partner}
        else:
            yield self._row(product, part)
        for partner, protected, macs in rows:
            row = {**self._row(product, part), "elements": 0, "metadata_bits": 0}
            yield {**row, "macs": macs, "partner": partner, "protected": float(protected)}

    def _row(self, product: Product, part: _Part) -> dict:
        return {
            "layer": product.layer,
            "product": product.name,
            "site": part.site,
            "format": part.format.name,
            "macs": 0,
            "elements": part.elements,
            "metadata_bits": part.metadata_bits,
            "covered": part.covered,
            "protected": float(part.protected),
        }


def protected_share(
    protection: DegreeProtection, degrees: Degrees | None, messages: Messages | None = None, *, edges: bool
) -> Fraction:
    """The mean of p_i = p_min + (p_max − p_min)·F(d_i) over the nodes, or over the edges by their source (METHODS §4).

    F is the distribution function of the in-degrees, of each graph or of the whole one that batches are taken from;
    without ``messages`` of these degrees together. Without degrees: (p_min + p_max)/2. An undirected graph's node sends
    as many messages as it gets, and one to itself.
    """
    low, high = _exact(protection.p_min), _exact(protection.p_max)
    if messages is not None:
        rank = messages.rank_of_senders if edges else messages.rank_of_nodes
        return low + (high - low) * Fraction(rank).limit_denominator(10**12)
    total = sum(count for _, count in degrees or ())
    weight = sum(count * (degree + 1 if edges else 1) for degree, count in degrees or ())
    if not degrees or not weight:
        return (low + high) / 2
    below = ranked = 0
    for degree, count in sorted(degrees):
        below += count
        ranked += count * (degree + 1 if edges else 1) * below
    return low + (high - low) * Fraction(ranked, total * weight)


def _exact(value: float) -> Fraction:
    """0.1 as a tenth."""
    return Fraction(str(value))
