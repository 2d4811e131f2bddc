"""The work of a training step, by product: which tensors enter it, and what becomes of its result.

An architecture (engine.models) lists its products; how a scheme quantizes them is resolved in engine.ledger.rows.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from engine.datasets import GraphSize

FORWARD = ("forward", "aggregate")
"""Products of a forward pass; all others belong to the backward pass."""
STASH, MASK = "stash", "mask"
"""No products: rows of what is kept for the backward pass, and of protection's random masks."""

RowsOf = Literal["nodes", "mlp", "edges"]
"""What a tensor's rows are, for schemes that go by the node: "mlp" are the nodes inside GIN's MLP; edges go by their
source."""

Place = tuple[str, str, int]
"""(site, product, layer) at which a tensor may be quantized."""


@dataclass(frozen=True)
class Operand:
    """A tensor [rows, width] that enters a product.

    ``sites``: the places at which it may have been quantized, the nearest to the product first (a
    message is the quantized feature where the message itself is not quantized). ``otherwise``: the tensor that is read
    in its place where no rule covers ``sites`` (an edge's message that is never made: the node's feature).
    """

    sites: tuple[str, ...]
    rows: int
    width: int
    of: RowsOf | None = None
    otherwise: Operand | None = None
    only_covered: bool = False
    """Counted only where a rule covers it: a copy that exists for quantization alone."""
    constant: bool = False
    """The dataset's features, which a rule may leave out of the stash."""

    @property
    def elements(self) -> int:
        return self.rows * self.width


@dataclass(frozen=True)
class Written:
    """What a product puts out, [rows, width]: once, in the format of the first of ``places`` that a rule covers.

    What stands between (bias, activation, normalization) goes element by element and is counted as part of the
    product. Covered nowhere, it is written in fp32, under ``site``.
    """

    site: str
    rows: int
    width: int
    places: tuple[Place, ...] = ()
    of: RowsOf | None = None


@dataclass(frozen=True)
class Product:
    """One product of one layer in one training step; ``name`` as in a rule, or "aggregate"."""

    name: str
    layer: int
    macs: int
    operands: tuple[Operand, ...]
    results: tuple[Operand, ...] = ()
    """Tensors that are quantized on their own after it (the aggregate, the update), read back by what follows."""
    written: Written | None = None


def linear_products(
    layer: int,
    rows: int,
    inputs: int,
    outputs: int,
    *,
    input_gradient: bool,
    of: RowsOf | None = "nodes",
    dense: bool = True,
    then: tuple[Place, ...] = (),
    back: tuple[Place, ...] | None = None,
) -> list[Product]:
    """The three products of a linear layer Y = X·Wᵀ with X [rows, inputs], W [outputs, inputs].

    ``dense``: Y is a feature of its own, quantized after its bias (engine.layers.dense). ``then``: where Y may be
    quantized next, ``back``: where dX may (None: as the gradient that the layer hands back).
    """
    macs = rows * inputs * outputs
    x, weight = Operand(("input",), rows, inputs, of), Operand(("weight",), outputs, inputs)
    gradient = Operand(("gradient",), rows, outputs, of)
    # What the backward pass finds of x, where it is kept in a format of its own.
    stash = Operand(("stash",), rows, inputs, of, only_covered=True, constant=not input_gradient)
    feature = Operand(("feature",), rows, outputs, of, only_covered=True)
    if dense:
        then = (("feature", "forward", layer), *then)
    if back is None:
        back = (("gradient", "grad_layer", layer),)
    products = [
        Product(
            "forward",
            layer,
            macs,
            (x, weight),
            (feature,) if dense else (),
            Written("feature", rows, outputs, then, of),
        ),
        Product("grad_weight", layer, macs, (gradient, x), (stash,), Written("weight", outputs, inputs)),
    ]
    if input_gradient:
        written = Written("gradient", rows, inputs, back, of)
        products.append(Product("grad_input", layer, macs, (gradient, weight), written=written))
    return products


def entering(site: str, layer: int, layers: int, product: str = "forward") -> tuple[Place, ...]:
    """Where a layer's output is quantized as it enters the next of so many layers; nowhere after the last."""
    return ((site, product, layer + 1),) if layer + 1 < layers else ()


def readout_products(layer: int, size: GraphSize, inputs: int, layers: int) -> list[Product]:
    """The linear layers after a pool: ``layers`` of them, the last one as wide as the output; the rows are graphs."""
    found: list[Product] = []
    widths = list(itertools.pairwise([inputs] * layers + [size.classes]))
    for number, (wide, outputs) in enumerate(widths):
        then: tuple[Place, ...] = (("input", "forward", layer),) if number + 1 < len(widths) else ()
        back: tuple[Place, ...] = (
            (("gradient", "grad_input", layer),) if number else (("gradient", "grad_layer", layer),)
        )
        found += linear_products(layer, size.graphs, wide, outputs, input_gradient=True, of=None, then=then, back=back)
    # What is handed back is the gradient of the nodes' rows, before the pool.
    return [*found, *handed_back(layer, size.nodes, inputs)]


def over_batches(products: Sequence[Product], batches: int) -> list[Product]:
    """The products of an epoch of several steps: its rows are those of all batches, its weights are read in each."""

    def all_of(operand: Operand) -> Operand:
        return replace(operand, rows=operand.rows * batches) if operand.sites == ("weight",) else operand

    def all_written(written: Written | None) -> Written | None:
        if written is None or written.site != "weight":
            return written
        return replace(written, rows=written.rows * batches)

    return [
        replace(product, operands=tuple(map(all_of, product.operands)), written=all_written(product.written))
        for product in products
    ]


def handed_back(layer: int, rows: int, inputs: int) -> list[Product]:
    """The gradient [rows, inputs] that a layer hands to the one before it, where it is quantized there."""
    if layer == 0:
        return []
    gradient = Operand(("gradient",), rows, inputs, "nodes", only_covered=True)
    return [Product("grad_layer", layer, 0, (), (gradient,))]


def updated(layer: int, nodes: int, width: int) -> list[Product]:
    """A layer's output [nodes, width], where it is quantized."""
    update = Operand(("update",), nodes, width, "nodes", only_covered=True)
    return [Product("forward", layer, 0, (), (update,))]


def aggregate_products(
    layer: int, nodes: int, edges: int, width: int, *, by_edge: bool = False, then: tuple[Place, ...] = ()
) -> list[Product]:
    """A sum over ``edges`` messages (self-loops counted) of features of this width, and its transpose backward.

    ``by_edge``: the message site quantizes a row an edge, not a row a node. ``then``: where the layer's output may
    be quantized next.
    """
    message = Operand(("message", "feature"), nodes, width, "nodes")
    if by_edge:
        feature = Operand(("feature",), nodes, width, "nodes")
        message = Operand(("message",), edges, width, "edges", otherwise=feature)
    back = (("gradient", "grad_input", layer), ("gradient", "grad_weight", layer))
    then = (("update", "forward", layer), *then)
    return _sum_products(layer, nodes, edges, width, message, message_gradient=True, then=then, back=back)


def message_products(layer: int, nodes: int, edges: int, width: int, *, message_gradient: bool) -> list[Product]:
    """The same for layers that sum their input before the weight; without gradient where that is constant."""
    message = Operand(("message",), nodes, width, "nodes")
    then = (("input", "forward", layer),)
    back = (("gradient", "grad_layer", layer),)
    return _sum_products(layer, nodes, edges, width, message, message_gradient=message_gradient, then=then, back=back)


def _sum_products(
    layer: int,
    nodes: int,
    edges: int,
    width: int,
    message: Operand,
    *,
    message_gradient: bool,
    then: tuple[Place, ...],
    back: tuple[Place, ...],
) -> list[Product]:
    total = Operand(("aggregate",), nodes, width, "nodes")
    written = Written("aggregate", nodes, width, (("aggregate", "aggregate", layer), *then), "nodes")
    found = [Product("aggregate", layer, edges * width, (message,), (total,), written)]
    if message_gradient:
        gradient = Operand(("gradient",), nodes, width, "nodes")
        written = Written("gradient", nodes, width, back, "nodes")
        found.append(Product("grad_aggregate", layer, edges * width, (gradient,), written=written))
    return found


def attention_products(
    layer: int,
    nodes: int,
    edges: int,
    heads: int,
    channels: int,
    *,
    vectors: bool,
    then: tuple[Place, ...] = (),
) -> list[Product]:
    """Scores, and the sum of messages weighted by their softmax, both ways.

    ``vectors``: scores are the nodes' products with two learned vectors a head (GAT); else of the edge's two
    nodes (AGNN, whose feature is the layer's input). The gradient of the scores is never quantized.
    """
    width = heads * channels
    feature = Operand(("feature",) if vectors else ("input",), nodes, width, "nodes")
    attention, score = (Operand((site,), edges, heads, "edges") for site in ("attention", "score"))
    message = Operand(("message",), edges, width, "edges", otherwise=feature)
    total = Operand(("aggregate",), nodes, width, "nodes")
    gradient = Operand(("gradient",), nodes, width, "nodes")
    by_score = Operand(("score gradient",), edges, heads, "edges")
    other = Operand(("weight",), 2 * heads, channels) if vectors else feature
    work = 2 * nodes * width if vectors else edges * width
    after = (("aggregate", "aggregate", layer), ("update", "forward", layer), *then)
    before = (("gradient", "grad_input" if vectors else "grad_layer", layer),)
    return [
        Product(
            "aggregate",
            layer,
            work,
            (feature, other) if vectors else (feature,),
            (score,),
            Written("score", edges, heads, (("score", "aggregate", layer), ("attention", "aggregate", layer)), "edges"),
        ),
        Product(
            "aggregate",
            layer,
            edges * width,
            (attention, message),
            (total,),
            Written("aggregate", nodes, width, after, "nodes"),
        ),
        Product(
            "grad_aggregate",
            layer,
            edges * width,
            (gradient, attention),
            written=Written("gradient", nodes, width, before, "nodes"),
        ),
        Product(
            "grad_aggregate",
            layer,
            edges * width,
            (gradient, feature),
            written=Written("score gradient", edges, heads, (), "edges"),
        ),
        Product(
            "grad_aggregate",
            layer,
            2 * work,
            (by_score, other),
            written=Written(other.sites[0] if vectors else "gradient", other.rows, other.width),
        ),
    ]
