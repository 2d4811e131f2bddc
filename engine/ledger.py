"""The cost ledger: which operand of which product ran in which format, and what follows from it.

A row is one operand of one product of one layer over a range of epochs. The product's
multiply-accumulates stand on the row of its wider operand (mixed operands run at the wider one's
density, METHODS §9), so both densities are sums over the same rows:

    memory      = Σ elements / Σ (elements / memory density)       = 32 / average bits, both harmonic means
    arithmetic  = Σ MACs / Σ (MACs / arithmetic density)            work-weighted harmonic mean

Scope ``inference`` counts forward products and aggregates, ``training`` the backward ones too.
Coverage ``quantized part`` leaves out what no rule of the scheme covers, ``whole step`` counts it as fp32.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal, Protocol

from engine.controllers.plan import stretches as planned_stretches
from engine.datasets import GraphSize
from engine.datasets.known_size import known_size
from engine.errors import InputError
from engine.events import Densities, LedgerRow
from engine.formats import Format, get_format
from engine.models import MODELS
from engine.objectives import OBJECTIVES
from engine.schedule import Step
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
    only_covered: bool = False
    """Counted only where a rule covers it: a copy that exists for quantization alone."""

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
    # What the backward pass finds of x, where it is kept in a format of its own.
    stash = Operand(("stash",), rows, inputs, "nodes", only_covered=True)
    products = [
        Product("forward", layer, macs, (x, weight)),
        Product("grad_weight", layer, macs, (gradient, x), stash),
    ]
    if input_gradient:
        products.append(Product("grad_input", layer, macs, (gradient, weight)))
    return products


def readout_products(layer: int, size: GraphSize, inputs: int, layers: int) -> list[Product]:
    """The linear layers after a pool: ``layers`` of them, the last one as wide as the output; the rows are graphs."""
    found: list[Product] = []
    for wide, outputs in itertools.pairwise([inputs] * layers + [size.classes]):
        for product in linear_products(layer, size.graphs, wide, outputs, input_gradient=True):
            operands = tuple(replace(operand, of=None) for operand in product.operands)
            result = None if product.result is None else replace(product.result, of=None)
            found.append(replace(product, operands=operands, result=result))
    # What is handed back is the gradient of the nodes' rows, before the pool.
    return [*found, *handed_back(layer, size.nodes, inputs)]


def over_batches(products: Sequence[Product], batches: int) -> list[Product]:
    """The products of an epoch of several steps: its rows are those of all batches, its weights are read in each."""

    def all_of(operand: Operand) -> Operand:
        return replace(operand, rows=operand.rows * batches) if operand.sites == ("weight",) else operand

    return [replace(product, operands=tuple(map(all_of, product.operands))) for product in products]


def handed_back(layer: int, rows: int, inputs: int) -> list[Product]:
    """The gradient [rows, inputs] that a layer hands to the one before it, where it is quantized there."""
    if layer == 0:
        return []
    gradient = Operand(("gradient",), rows, inputs, "nodes", only_covered=True)
    return [Product("grad_layer", layer, 0, (), gradient)]


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
        result = product.result
        if result is not None and not (result.only_covered and not _covered(result, product, scheme)):
            operands.append(_resolve(result, product, scheme, degrees, spread))
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
                covered=part.covered,
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
    covered: bool = True


def _charge(macs: int, operands: Sequence[Sequence[_Part]]) -> list[list[int]]:
    """Each product of parts works at its wider operand's density: the multiply-accumulates of each part."""
    works = [[Fraction(0)] * len(parts) for parts in operands]
    if not operands:
        return []
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
        # What has no degree (a readout's graphs) is not quantized by degree.
        if rules and (rules[0].bucket is None or operand.of is not None):
            return _parts(operand, site, rules, product.layer, scheme, degrees, spread)
    if operand.otherwise is not None:
        return _resolve(operand.otherwise, product, scheme, degrees, spread)
    return [_Part(operand.sites[-1], FP32, Fraction(1), operand.elements, covered=False)]


def _covered(operand: Operand, product: Product, scheme: Scheme) -> bool:
    return any(scheme.covering(site, product.name, product.layer) for site in operand.sites)


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
            found.append(_Part(site, FP32, share, round(operand.elements * share), covered=False))
            continue
        rows = round(operand.rows * share)
        metadata = rule.quantization.metadata_bits(rows, operand.width)
        for format, part in spread(rule, layer):
            exact = share * part
            found.append(_Part(site, format, exact, round(operand.elements * exact), round(metadata * part)))
    return found


def densities(rows: Sequence[LedgerRow], scope: Scope, coverage: Coverage, epoch: int | None = None) -> Densities:
    """The densities of a ledger for one scope and coverage; 1.0 where nothing in it is quantized.

    ``epoch``: the one whose model inference runs, the run's best; None: the last.
    Over epochs of several formats: the work-weighted harmonic mean, beside it [T]'s time-weighted arithmetic mean
    ("thesis mean"), and the memory density of the widest stretch, which is what must fit.
    """
    at = max((row.last_epoch for row in rows), default=0) if epoch is None else epoch
    stretches: dict[tuple[int, int], _Sums] = {}
    for row in rows:
        format = get_format(row.format)
        # What inference runs is the model of one epoch; training is the sum of all.
        if scope == "inference" and (row.product not in FORWARD or not row.first_epoch <= at <= row.last_epoch):
            continue
        sums = stretches.setdefault((row.first_epoch, row.last_epoch), _Sums())
        covered = format != FP32 if row.covered is None else row.covered
        if coverage == "quantized part" and not covered:
            continue
        sums.add(row, format)
    whole = sum(stretches.values(), _Sums())
    spans = [(last - first + 1, sums) for (first, last), sums in stretches.items()]
    counted = [(span, sums) for span, sums in spans if sums.elements.total()] or [(1, whole)]
    worst = max((_LABELS.index(format.arithmetic_density.label) for format in +whole.macs), default=0)
    return Densities(
        scope=scope,
        coverage=coverage,
        memory=float(Fraction(FP32.bits) / whole.bits),
        arithmetic=float(1 / whole.area),
        arithmetic_label=_LABELS[worst],
        average_bits=float(whole.bits),
        memory_thesis=float(arithmetic_mean([(span, FP32.bits / sums.bits) for span, sums in counted])),
        arithmetic_thesis=float(arithmetic_mean([(span, 1 / sums.area) for span, sums in counted])),
        peak_memory_density=float(min(FP32.bits / sums.bits for _, sums in counted)),
    )


class _Sums:
    """Elements, multiply-accumulates and metadata by format, over the epochs of the rows."""

    def __init__(self) -> None:
        self.elements: Counter[Format] = Counter()
        self.macs: Counter[Format] = Counter()
        self.metadata = 0

    def add(self, row: LedgerRow, format: Format) -> None:
        span = row.last_epoch - row.first_epoch + 1
        self.elements[format] += span * row.elements
        self.macs[format] += span * row.macs
        self.metadata += span * row.metadata_bits

    def __add__(self, other: _Sums) -> _Sums:
        both = _Sums()
        both.elements, both.macs = self.elements + other.elements, self.macs + other.macs
        both.metadata = self.metadata + other.metadata
        return both

    # Exact fractions: one format alone gives its own densities to the last digit.
    @property
    def bits(self) -> Fraction:
        """Bits an element, metadata included."""
        if not self.elements.total():
            return Fraction(FP32.bits)
        mean = 1 / harmonic_mean([(count, 1 / Fraction(format.bits)) for format, count in self.elements.items()])
        return mean + Fraction(self.metadata, self.elements.total())

    @property
    def area(self) -> Fraction:
        """Area a multiply-accumulate, in fp32's."""
        if not self.macs.total():
            return Fraction(1)
        values = [(count, Fraction(format.arithmetic_density.value)) for format, count in self.macs.items()]
        return 1 / harmonic_mean(values)


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


def all_densities(rows: Sequence[LedgerRow], scheme: Scheme, epoch: int | None = None) -> list[Densities]:
    """Each scope × coverage, the headline first; ``epoch``: whose model inference runs (None: the last).

    Headline: quantized part; scope ``training`` where the scheme quantizes gradients, else ``inference``.
    """
    headline = headline_scope(scheme)
    other: Scope = "inference" if headline == "training" else "training"
    coverages: tuple[Coverage, Coverage] = ("quantized part", "whole step")
    return [densities(rows, scope, coverage, epoch) for scope in (headline, other) for coverage in coverages]


class _Learner(Protocol):
    """What the ledger asks of a live scheme whose formats were learned."""

    def spread(self, rule: Rule, layer: int) -> Sequence[tuple[Format, Fraction]]: ...


Stretch = tuple[int, int, Step]
"""(first epoch, last epoch, step of the ladder)."""


def run_ledger(
    spec: RunSpec, size: GraphSize, live: _Learner | None = None, stretches: Sequence[Stretch] | None = None
) -> list[LedgerRow]:
    """The ledger of a spec on a graph of this size: as planned, or with the formats that ``live`` has learned.

    ``stretches``: when a scheduled run had which step of its ladder; None: as the clock says, or as early as signals
    may raise it, so that the densities are the least that the run can have. A phase that is not quantized (fp32
    training before fine-tuning) is charged as fp32.
    """
    products = _products(spec, size)
    scheme, rows, first = spec.parsed_scheme, [], 1
    spread = _as_planned if live is None else live.spread
    for phase in scheme.phases or (Phase("train"),):
        epochs = spec.training.epochs if phase.epochs is None else phase.epochs
        for start, end, now in _within(scheme, first, first + epochs - 1, stretches, spec.plateau_ratio):
            now = now if phase.quantized else Scheme()
            rows += ledger_rows(products, now, end - start + 1, size.degrees, spread, start)
        first += epochs
    return rows


def _within(
    scheme: Scheme, first: int, last: int, stretches: Sequence[Stretch] | None, plateau_ratio: float
) -> list[tuple[int, int, Scheme]]:
    """The stretches of these epochs, each with the scheme as it then was."""
    if scheme.schedule is None:
        return [(first, last, scheme)]
    if stretches is None:
        stretches = list(planned_stretches(scheme.schedule, last, plateau_ratio))
    return [
        (max(start, first), min(end, last), scheme.at(step))
        for start, end, step in stretches
        if start <= last and end >= first
    ]


def _products(spec: RunSpec, size: GraphSize) -> list[Product]:
    """The work of an epoch."""
    return over_batches(MODELS[spec.model.name].products(spec.model, size), size.batches)


def epoch_bits(spec: RunSpec, size: GraphSize, step: Step | None, live: _Learner | None = None) -> float:
    """Bits an element of an epoch's quantized part, in the scope of the scheme's headline (32 where there is none)."""
    scheme = spec.parsed_scheme if step is None else spec.parsed_scheme.at(step)
    rows = ledger_rows(_products(spec, size), scheme, 1, size.degrees, _as_planned if live is None else live.spread)
    return densities(rows, headline_scope(scheme), "quantized part").average_bits


def headline_scope(scheme: Scheme) -> Scope:
    """``training`` where the scheme quantizes gradients, else ``inference``."""
    return "training" if scheme.quantizes_gradients else "inference"


def preview(spec: RunSpec, settings: Settings | None = None) -> list[Densities]:
    """Densities of a run before it is launched (no data is loaded, no torch is imported), headline first.

    Where signals decide when precision rises, these are the least that the run can have.
    Raises InputError where they depend on the graph's degrees and the dataset was never loaded here.
    """
    size = known_size(spec.dataset, settings or Settings())
    size = OBJECTIVES[spec.task.name].expect(spec.task, size, spec)
    return all_densities(run_ledger(spec, size), spec.parsed_scheme)
