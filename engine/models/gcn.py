"""GCN: graph convolution by Kipf & Welling, ICLR 2017, any number of layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.datasets import GraphSize
from engine.form_marks import BASIC
from engine.models.entry import Model, ModelSpec, Pool, ReadoutDropout, ReadoutLayers

if TYPE_CHECKING:
    from torch import nn

    from engine.layers.stack import Stack
    from engine.ledger import Kept, Product


class GCNSpec(ModelSpec):
    """Options of GCN; the defaults are the thesis' Planetoid setting (METHODS §10)."""

    name: Literal["gcn"] = "gcn"
    layers: Annotated[int, Field(ge=1, le=64, json_schema_extra=BASIC)] = 2
    """Graph convolutions."""
    hidden: Annotated[int, Field(ge=1, le=4096, json_schema_extra=BASIC)] = 16
    """Width of the hidden layers."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of a layer's input that is dropped, between the layers."""
    input_dropout: bool = False
    """Whether the first layer's input is dropped too."""
    bias: bool = True
    """Whether each layer adds a bias after the aggregate."""
    message: Literal["node", "edge"] = "node"
    """What is quantized as a message: each node's scaled features once, or norm·h on every edge ([DQ]'s code)."""
    batch_norm: bool = False
    """Whether every layer but the last is followed by batch normalization, before its ReLU."""
    residual: bool = False
    """Whether a hidden layer as wide as its input adds that input after its ReLU."""
    readout: Pool = "none"
    """How a graph's nodes are pooled; none: every node has an output."""
    readout_layers: ReadoutLayers = 2
    """Linear layers after the pool."""
    readout_dropout: ReadoutDropout = 0.5
    """Share of the last linear layer's input that is dropped, after a pool."""


def widths(spec: GCNSpec, size: GraphSize) -> list[tuple[int, int]]:
    """(inputs, outputs) of each layer, without a readout."""
    inner = [spec.hidden] * (spec.layers - 1)
    last = size.classes if spec.readout == "none" else spec.hidden
    return list(zip([size.features, *inner], [*inner, last], strict=True))


def products(spec: GCNSpec, size: GraphSize) -> Sequence[Product]:
    from engine.ledger import aggregate_products, handed_back, linear_products, readout_products, updated
    from engine.ledger.products import entering

    found: list[Product] = []
    by_edge, nodes, edges = spec.message == "edge", size.nodes, size.looped
    for layer, (inputs, outputs) in enumerate(widths(spec, size)):
        sent = ("feature",) if by_edge else ("feature", "message")
        found += linear_products(
            layer,
            nodes,
            inputs,
            outputs,
            input_gradient=layer > 0,
            dense=False,
            then=tuple((site, "aggregate", layer) for site in sent),
            back=(("gradient", "grad_layer", layer), ("gradient", "grad_aggregate", layer - 1)),
        )
        found += handed_back(layer, nodes, inputs)
        then = entering("input", layer, spec.layers)
        found += aggregate_products(layer, nodes, edges, outputs, by_edge=by_edge, then=then)
        found += updated(layer, nodes, outputs)
    if spec.readout != "none":
        found += readout_products(spec.layers, size, spec.hidden, spec.readout_layers)
    return found


def kept(spec: GCNSpec, size: GraphSize) -> Iterator[Kept]:
    from engine.ledger import stash

    pairs, nodes = widths(spec, size), size.nodes
    graphs = spec.readout != "none"
    shared = False
    for layer, (inputs, outputs) in enumerate(pairs):
        dropped = spec.dropout > 0 and (layer > 0 or spec.input_dropout)
        yield from stash.linear(
            layer,
            nodes,
            inputs,
            outputs,
            source="step" if layer else "constant",
            dropout=dropped,
            activated=shared,
            features=stash.features(size),
            dense=False,
            alone=True,
        )
        by_edge = spec.message == "edge"
        yield from stash.results(layer, nodes, outputs, ("feature", "aggregate"), ("aggregate", "aggregate"))
        yield from stash.results(layer, size.looped if by_edge else nodes, outputs, ("message", "aggregate"))
        yield from stash.results(layer, nodes, outputs, ("update", "forward"))
        yield from stash.protection(layer, nodes, size.looped, ("message",) if by_edge else ())
        if layer + 1 < len(pairs) or graphs:
            if spec.batch_norm:
                yield from stash.batch_norm(layer, nodes, outputs)
            yield from stash.activation(layer, nodes, outputs, packs=layer + 1 < len(pairs))
            # A residual sum is another tensor than the ReLU's.
            shared = not (spec.residual and inputs == outputs)
    if graphs:
        dropped = spec.readout_dropout > 0
        yield from stash.readout(len(pairs), size, spec.hidden, spec.readout_layers, dropout=dropped, activated=shared)


def build(spec: GCNSpec, size: GraphSize) -> Stack:
    from engine.layers.gcn import GCNLayer
    from engine.layers.readout import Readout
    from engine.layers.stack import Stack

    pairs = widths(spec, size)
    hidden = len(pairs) if spec.readout != "none" else len(pairs) - 1
    layers: list[nn.Module] = [
        GCNLayer(
            inputs,
            outputs,
            bias=spec.bias,
            message=spec.message,
            batch_norm=spec.batch_norm and index < hidden,
        )
        for index, (inputs, outputs) in enumerate(pairs)
    ]
    rates = [spec.dropout] * len(layers)
    if spec.readout != "none":
        layers.append(Readout(spec.hidden, size.classes, pool=spec.readout, layers=spec.readout_layers))
        rates.append(spec.readout_dropout)
    return Stack(layers, dropout=rates, input_dropout=spec.input_dropout, residual=spec.residual)


def addressed(spec: GCNSpec) -> int:
    return spec.layers + (spec.readout != "none")


ENTRIES = [
    Model(
        name="gcn",
        summary="graph convolution with symmetric normalization and self-loops",
        source="Kipf & Welling, ICLR 2017, arXiv 1609.02907",
        sites=("input", "weight", "feature", "message", "aggregate", "update", "gradient", "stash"),
        spec=GCNSpec,
        products=products,
        kept=kept,
        build=build,
        layers=addressed,
    )
]
