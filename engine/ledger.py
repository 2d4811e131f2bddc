"""The cost ledger: which operand of which product ran in which format, and what follows from it.

A row is one operand of one product of one layer over a range of epochs. The product's
multiply-accumulates stand on the row of its wider operand (mixed operands run at the wider one's
density, METHODS §9), so both densities are sums over the same rows:

    memory      = Σ elements / Σ (elements / memory density)       = 32 / average bits
    arithmetic  = Σ MACs / Σ (MACs / arithmetic density)            work-weighted harmonic mean

Scope ``inference`` counts forward products and aggregates, ``training`` the backward ones too.
Coverage ``quantized part`` leaves fp32 rows out, ``whole step`` counts them.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

from engine.datasets import GraphSize
from engine.datasets.known_size import known_size
from engine.errors import InputError
from engine.events import Densities, LedgerRow
from engine.formats import Format, get_format
from engine.models import MODELS
from engine.scheme import FP32, Phase, Rule, Scheme
from engine.settings import Settings
from engine.spec import RunSpec

Scope = Literal["inference", "training"]
Coverage = Literal["quantized part", "whole step"]

FORWARD = ("forward", "aggregate")
"""Products of a forward pass; all others belong to the backward pass."""

_LABELS = ("published", "interpolated", "extrapolated")


@dataclass(frozen=True)
class Operand:
    """A tensor [rows, width] that enters a product.

    ``sites``: the places at which it may have been quantized, the nearest to the product first (a
    message is the quantized feature where the message itself is not quantized). ``of``: what its rows
    are, for schemes that quantize nodes by their degree. ``otherwise``: the tensor that is read in its place
    where no rule covers ``sites`` (an edge's message that is never made: the node's feature).
    """

    sites: tuple[str, ...]
    rows: int
    width: int
    of: Literal["nodes", "edges"] | None = None
    otherwise: Operand | None = None

    @property
    def elements(self) -> int:
        return self.rows * self.width


@dataclass(frozen=True)
class Product:
    """One product of one layer in one training step; ``name`` as in a rule, or "aggregate"."""

    name: str
    layer: int
    macs: int
    operands: tuple[Operand, ...]
    result: Operand | None = None
    """The product's result where it is quantized as a site of its own (the aggregate)."""


def linear_products(layer: int, rows: int, inputs: int, outputs: int, *, input_gradient: bool) -> list[Product]:
    """The three products of a linear layer Y = X·Wᵀ with X [rows, inputs], W [outputs, inputs]; the rows are nodes."""
    macs = rows * inputs * outputs
    x, weight = Operand(("input",), rows, inputs, "nodes"), Operand(("weight",), outputs, inputs)
    gradient = Operand(("gradient",), rows, outputs, "nodes")
    products = [Product("forward", layer, macs, (x, weight)), Product("grad_weight", layer, macs, (gradient, x))]
    if input_gradient:
        products.append(Product("grad_input", layer, macs, (gradient, weight)))
    return products


def aggregate_products(layer: int, nodes: int, edges: int, width: int, *, by_edge: bool = False) -> list[Product]:
    """A sum over ``edges`` messages (self-loops counted) of features of this width, and its transpose backward.

    ``by_edge``: the message site quantizes a row an edge, not a row a node.
    """
    message = Operand(("message", "feature"), nodes, width, "nodes")
    if by_edge:
        feature = Operand(("feature",), nodes, width, "nodes")
        message = Operand(("message",), edges, width, "edges", otherwise=feature)
    return _sum_products(layer, nodes, edges, width, message, message_gradient=True)


def message_products(layer: int, nodes: int, edges: int, width: int, *, message_gradient: bool) -> list[Product]:
    """The same for layers that sum their input before the weight; without gradient where that is constant."""
    message = Operand(("message",), nodes, width, "nodes")
    return _sum_products(layer, nodes, edges, width, message, message_gradient=message_gradient)


def _sum_products(
    layer: int, nodes: int, edges: int, width: int, message: Operand, *, message_gradient: bool
) -> list[Product]:
    found = [Product("aggregate", layer, edges * width, (message,), Operand(("aggregate",), nodes, width, "nodes"))]
    if message_gradient:
        gradient = Operand(("gradient",), nodes, width, "nodes")
        found.append(Product("grad_aggregate", layer, edges * width, (gradient,)))
    return found


def attention_products(
    layer: int, nodes: int, edges: int, heads: int, channels: int, *, vectors: bool
) -> list[Product]:
    """Scores, and the sum of messages weighted by their softmax, both ways.

    ``vectors``: scores are the nodes' products with two learned vectors a head (GAT); else of the edge's two
    nodes (AGNN, whose feature is the layer's input). The gradient of the scores is never quantized.
    """
    width = heads * channels
    feature = Operand(("feature",) if vectors else ("input",), nodes, width, "nodes")
    attention, score = (Operand((site,), edges, heads, "edges") for site in ("attention", "score"))
    message = Operand(("message",), edges, width, "edges", otherwise=feature)
    gradient = Operand(("gradient",), nodes, width, "nodes")
    by_score = Operand(("score gradient",), edges, heads, "edges")
    other = Operand(("weight",), 2 * heads, channels) if vectors else feature
    work = 2 * nodes * width if vectors else edges * width
    return [
        Product("aggregate", layer, work, (feature, other) if vectors else (feature,), score),
        Product(
            "aggregate", layer, edges * width, (attention, message), Operand(("aggregate",), nodes, width, "nodes")
        ),
        Product("grad_aggregate", layer, edges * width, (gradient, attention)),
        Product("grad_aggregate", layer, edges * width, (gradient, feature)),
        Product("grad_aggregate", layer, 2 * work, (by_score, other)),
    ]


Spread = Callable[[Rule, int], Sequence[tuple[Format, Fraction]]]
"""The formats of a rule's elements in a layer, with their shares."""


def _as_planned(rule: Rule, layer: int) -> Sequence[tuple[Format, Fraction]]:
    return rule.quantization.spread()


def ledger_rows(
    products: Sequence[Product],
    scheme: Scheme,
    epochs: int,
    degrees: Sequence[tuple[int, int]] | None = None,
    spread: Spread = _as_planned,
    first_epoch: int = 1,
) -> list[LedgerRow]:
    """The ledger of a stretch of epochs that keeps one scheme.

    ``degrees``: (in-degree, nodes) of the graph, for schemes with degree buckets. ``spread``: where formats
    are learned, what they have become. Raises InputError where the degrees are needed and not known.
    """
    rows: list[LedgerRow] = []
    for product in products:
        operands = [_resolve(operand, product, scheme, degrees, spread) for operand in product.operands]
        macs = _charge(product.macs, operands)
        if product.result is not None:
            operands.append(_resolve(product.result, product, scheme, degrees, spread))
            macs.append([0] * len(operands[-1]))
        rows += [
            LedgerRow(
                first_epoch=first_epoch,
                last_epoch=first_epoch + epochs - 1,
                layer=product.layer,
                product=product.name,
                site=part.site,
                format=part.format.name,
                macs=work,
                elements=part.elements,
                metadata_bits=part.metadata_bits,
            )
            for parts, works in zip(operands, macs, strict=True)
            for part, work in zip(parts, works, strict=True)
        ]
    return rows


@dataclass(frozen=True)
class _Part:
    """The elements of an operand that have one format."""

    site: str
    format: Format
    share: Fraction
    elements: int
    metadata_bits: int = 0


def _charge(macs: int, operands: Sequence[Sequence[_Part]]) -> list[list[int]]:
    """Each product of parts works at its wider operand's density: the multiply-accumulates of each part."""
    works = [[Fraction(0)] * len(parts) for parts in operands]
    for chosen in itertools.product(*(range(len(parts)) for parts in operands)):
        parts = [parts[index] for parts, index in zip(operands, chosen, strict=True)]
        widest = max(range(len(parts)), key=lambda i: parts[i].format.bits)
        works[widest][chosen[widest]] += macs * math.prod(part.share for part in parts)
    return [[round(work) for work in row] for row in works]


def _resolve(
    operand: Operand, product: Product, scheme: Scheme, degrees: Sequence[tuple[int, int]] | None, spread: Spread
) -> list[_Part]:
    """The parts of an operand by format: quantized at the first of its sites that a rule covers, else fp32."""
    for site in operand.sites:
        rules = scheme.covering(site, product.name, product.layer)
        if rules:
            return _parts(operand, site, rules, product.layer, scheme, degrees, spread)
    if operand.otherwise is not None:
        return _resolve(operand.otherwise, product, scheme, degrees, spread)
    return [_Part(operand.sites[-1], FP32, Fraction(1), operand.elements)]


def _parts(
    operand: Operand,
    site: str,
    rules: Sequence[Rule],
    layer: int,
    scheme: Scheme,
    degrees: Sequence[tuple[int, int]] | None,
    spread: Spread,
) -> list[_Part]:
    shares: list[tuple[Rule | None, Fraction]] = [(rules[0], Fraction(1))]
    if rules[0].bucket is not None:
        if degrees is None:
            raise InputError(
                f"the densities of {scheme.text!r} depend on the graph's degrees, which are known once the dataset "
                "was loaded: train on it once, or name formats that do not go by degree"
            )
        by_bucket = scheme.bucket_shares(degrees, edges=operand.of == "edges")
        given = {rule.bucket: rule for rule in rules}
        shares = [(given.get(bucket), share) for bucket, share in enumerate(by_bucket) if share]
    found: list[_Part] = []
    for rule, share in shares:
        if rule is None:
            found.append(_Part(site, FP32, share, round(operand.elements * share)))
            continue
        rows = round(operand.rows * share)
        metadata = rule.quantization.metadata_bits(rows, operand.width)
        for format, part in spread(rule, layer):
            exact = share * part
            found.append(_Part(site, format, exact, round(operand.elements * exact), round(metadata * part)))
    return found


def densities(rows: Sequence[LedgerRow], scope: Scope, coverage: Coverage) -> Densities:
    """The densities of a ledger for one scope and coverage; 1.0 where nothing in it is quantized."""
    elements: Counter[Format] = Counter()
    macs: Counter[Format] = Counter()
    metadata = 0
    end = max((row.last_epoch for row in rows), default=0)
    for row in rows:
        format = get_format(row.format)
        # What inference runs is the model of the last epochs; training is the sum of all.
        if scope == "inference" and (row.product not in FORWARD or row.last_epoch != end):
            continue
        if coverage == "quantized part" and format == FP32:
            continue
        span = row.last_epoch - row.first_epoch + 1
        elements[format] += span * row.elements
        macs[format] += span * row.macs
        metadata += span * row.metadata_bits
    # Exact fractions: one format alone gives its own densities to the last digit.
    bits = _mean(elements, lambda format: Fraction(format.bits)) if elements.total() else Fraction(FP32.bits)
    bits += Fraction(metadata, elements.total() or 1)
    area = _mean(macs, lambda format: 1 / Fraction(format.arithmetic_density.value)) if macs.total() else Fraction(1)
    worst = max((_LABELS.index(format.arithmetic_density.label) for format in +macs), default=0)
    return Densities(
        scope=scope,
        coverage=coverage,
        memory=float(Fraction(FP32.bits) / bits),
        arithmetic=float(1 / area),
        arithmetic_label=_LABELS[worst],
        average_bits=float(bits),
    )


def _mean(weights: Counter[Format], value: Callable[[Format], Fraction]) -> Fraction:
    """The mean of a format's value, weighted."""
    return sum((weight * value(format) for format, weight in weights.items()), Fraction(0)) / weights.total()


def all_densities(rows: Sequence[LedgerRow], scheme: Scheme) -> list[Densities]:
    """Each scope × coverage, the headline first.

    Headline: quantized part; scope ``training`` where the scheme quantizes gradients, else ``inference``.
    """
    headline: Scope = "training" if scheme.quantizes_gradients else "inference"
    other: Scope = "inference" if headline == "training" else "training"
    coverages: tuple[Coverage, Coverage] = ("quantized part", "whole step")
    return [densities(rows, scope, coverage) for scope in (headline, other) for coverage in coverages]


class _Learner(Protocol):
    """What the ledger asks of a live scheme whose formats were learned."""

    def spread(self, rule: Rule, layer: int) -> Sequence[tuple[Format, Fraction]]: ...


def run_ledger(spec: RunSpec, size: GraphSize, live: _Learner | None = None) -> list[LedgerRow]:
    """The ledger of a spec on a graph of this size: as planned, or with the formats that ``live`` has learned.

    A phase that is not quantized (fp32 training before fine-tuning) is charged as fp32.
    """
    products = MODELS[spec.model.name].products(spec.model, size)
    scheme, rows, first = spec.parsed_scheme, [], 1
    spread = _as_planned if live is None else live.spread
    for phase in scheme.phases or (Phase("train"),):
        epochs = spec.training.epochs if phase.epochs is None else phase.epochs
        now = scheme if phase.quantized else Scheme()
        rows += ledger_rows(products, now, epochs, size.degrees, spread, first)
        first += epochs
    return rows


def preview(spec: RunSpec, settings: Settings | None = None) -> list[Densities]:
    """Densities of a run before it is launched (no data is loaded, no torch is imported), headline first.

    Raises InputError where they depend on the graph's degrees and the dataset was never loaded here.
    """
    size = known_size(spec.dataset, settings or Settings())
    return all_densities(run_ledger(spec, size), spec.parsed_scheme)
