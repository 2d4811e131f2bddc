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

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from engine.datasets import DATASETS, GraphSize
from engine.events import Densities, LedgerRow
from engine.formats import Format, get_format
from engine.models import MODELS
from engine.scheme import FP32, Scheme
from engine.spec import RunSpec

Scope = Literal["inference", "training"]
Coverage = Literal["quantized part", "whole step"]

FORWARD = ("forward", "aggregate")
"""Products of a forward pass; all others belong to the backward pass."""

_LABELS = ("published", "interpolated", "extrapolated")


@dataclass(frozen=True)
class Operand:
    """A tensor that enters a product.

    ``sites``: the places at which it may have been quantized, the nearest to the product first (a
    message is the quantized feature where the message itself is not quantized).
    """

    sites: tuple[str, ...]
    elements: int


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
    """The three products of a linear layer Y = X·Wᵀ with X [rows, inputs], W [outputs, inputs]."""
    macs = rows * inputs * outputs
    x, weight = Operand(("input",), rows * inputs), Operand(("weight",), inputs * outputs)
    gradient = Operand(("gradient",), rows * outputs)
    products = [Product("forward", layer, macs, (x, weight)), Product("grad_weight", layer, macs, (gradient, x))]
    if input_gradient:
        products.append(Product("grad_input", layer, macs, (gradient, weight)))
    return products


def aggregate_products(layer: int, nodes: int, edges: int, width: int) -> list[Product]:
    """A sum over ``edges`` messages (self-loops counted) of this width, and its transpose backward."""
    message = Operand(("message", "feature"), nodes * width)
    return [
        Product("aggregate", layer, edges * width, (message,), Operand(("aggregate",), nodes * width)),
        Product("grad_aggregate", layer, edges * width, (Operand(("gradient",), nodes * width),)),
    ]


def ledger_rows(products: Sequence[Product], scheme: Scheme, epochs: int) -> list[LedgerRow]:
    """The ledger of a run that keeps one scheme for all its epochs."""
    rows: list[LedgerRow] = []
    for product in products:
        operands = [_resolve(operand, product, scheme) for operand in product.operands]
        widest = max(range(len(operands)), key=lambda i: operands[i][1].bits)
        entries = [
            (site, format, elements, product.macs if i == widest else 0)
            for i, (site, format, elements) in enumerate(operands)
        ]
        if product.result is not None:
            entries.append((*_resolve(product.result, product, scheme), 0))
        rows += [
            LedgerRow(
                first_epoch=1,
                last_epoch=epochs,
                layer=product.layer,
                product=product.name,
                site=site,
                format=format.name,
                macs=macs,
                elements=elements,
            )
            for site, format, elements, macs in entries
        ]
    return rows


def _resolve(operand: Operand, product: Product, scheme: Scheme):
    for site in operand.sites:
        format = scheme.format(site, product.name, product.layer)
        if format != FP32:
            return site, format, operand.elements
    return operand.sites[-1], FP32, operand.elements


def densities(rows: Sequence[LedgerRow], scope: Scope, coverage: Coverage) -> Densities:
    """The densities of a ledger for one scope and coverage; 1.0 where nothing in it is quantized."""
    elements: Counter[Format] = Counter()
    macs: Counter[Format] = Counter()
    for row in rows:
        format = get_format(row.format)
        if (scope == "inference" and row.product not in FORWARD) or (coverage == "quantized part" and format == FP32):
            continue
        span = row.last_epoch - row.first_epoch + 1
        elements[format] += span * row.elements
        macs[format] += span * row.macs
    # Exact fractions: one format alone gives its own densities to the last digit.
    bits = _mean(elements, lambda format: Fraction(format.bits)) if elements.total() else Fraction(FP32.bits)
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


def run_ledger(spec: RunSpec, size: GraphSize) -> list[LedgerRow]:
    """The ledger of a spec on a graph of this size."""
    products = MODELS[spec.model.name].products(spec.model, size)
    return ledger_rows(products, spec.parsed_scheme, spec.training.epochs)


def preview(spec: RunSpec) -> list[Densities]:
    """Densities of a run before it is launched (no data is loaded, no torch is imported), headline first."""
    size = DATASETS[spec.dataset.name].size(spec.dataset)
    return all_densities(run_ledger(spec, size), spec.parsed_scheme)
