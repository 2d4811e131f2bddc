"""GIN: graph isomorphism network by Xu et al., ICLR 2019, for nodes or, with a readout, for graphs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.datasets import GraphSize
from engine.form_marks import BASIC
from engine.models.entry import Model, ModelSpec, Pool, ReadoutDropout, ReadoutLayers

if TYPE_CHECKING:
    from engine.layers.stack import Stack
    from engine.ledger import Kept, Product


class GINSpec(ModelSpec):
    """Options of GIN; the defaults are Degree-Quant's citation setting: two layers, a single linear each (METHODS §10).

    Its REDDIT-BINARY model: layers=5, hidden=64, mlp_layers=2, batch_norm, train_eps, readout="mean", dropout=0.
    """

    name: Literal["gin"] = "gin"
    layers: Annotated[int, Field(ge=1, le=64, json_schema_extra=BASIC)] = 2
    """Isomorphism layers."""
    hidden: Annotated[int, Field(ge=1, le=4096, json_schema_extra=BASIC)] = 16
    """Width of the hidden layers."""
    mlp_layers: Annotated[int, Field(ge=1, le=8)] = 1
    """Linear layers in each layer's MLP."""
    batch_norm: bool = False
    """Whether each hidden layer ends with batch normalization, after its MLP's last ReLU."""
    eps: float = 0.0
    """The weight of a node's own features is 1 + eps."""
    train_eps: bool = False
    """Whether eps is learned."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of a layer's input that is dropped."""
    input_dropout: bool = True
    """Whether the first layer's input is dropped too."""
    readout: Pool = "none"
    """How a graph's nodes are pooled; none: every node has an output."""
    readout_layers: ReadoutLayers = 2
    """Linear layers after the pool."""
    readout_dropout: ReadoutDropout = 0.5
    """Share of the last linear layer's input that is dropped, after a pool."""


def shapes(spec: GINSpec, size: GraphSize) -> list[list[int]]:
    """The widths of each layer's MLP, inputs and output included."""
    found: list[list[int]] = []
    for layer in range(spec.layers):
        last = layer + 1 == spec.layers and spec.readout == "none"
        inputs = size.features if layer == 0 else spec.hidden
        inner = [spec.hidden] * (spec.mlp_layers - 1)
        found.append([inputs, *inner, size.classes if last else spec.hidden])
    return found


def products(spec: GINSpec, size: GraphSize) -> Sequence[Product]:
    from engine.ledger import handed_back, linear_products, message_products, readout_products, updated
    from engine.ledger.products import Place, entering

    found: list[Product] = []
    for layer, widths in enumerate(shapes(spec, size)):
        found += handed_back(layer, size.nodes, widths[0])
        # A learned ε needs the gradient of z, which the constant first input would spare.
        found += message_products(layer, size.nodes, size.edges, widths[0], message_gradient=layer > 0)
        for index, (inputs, outputs) in enumerate(pairwise(widths)):
            needed = layer > 0 or index > 0 or spec.train_eps
            then: tuple[Place, ...] = (("input", "forward", layer),)
            if index + 2 == len(widths):
                then = (("update", "forward", layer), *entering("message", layer, spec.layers, "aggregate"))
            product = "grad_input" if index else "grad_aggregate"
            found += linear_products(
                layer,
                size.nodes,
                inputs,
                outputs,
                input_gradient=needed,
                of="mlp",
                then=then,
                back=(("gradient", product, layer), ("gradient", "grad_layer", layer)),
            )
        found += updated(layer, size.nodes, widths[-1])
    if spec.readout != "none":
        found += readout_products(spec.layers, size, spec.hidden, spec.readout_layers)
    return found


def kept(spec: GINSpec, size: GraphSize) -> Iterator[Kept]:
    from engine.ledger import stash

    found, nodes = shapes(spec, size), size.nodes
    graphs = spec.readout != "none"
    for layer, pairs in enumerate(found):
        dropped = spec.dropout > 0 and (layer > 0 or spec.input_dropout)
        if layer:
            yield from stash.results(layer, nodes, pairs[0], ("message", "aggregate"), ("aggregate", "aggregate"))
        if dropped:
            yield stash.mask(layer, "dropout", nodes * pairs[0])
        if spec.train_eps:
            # The gradient of ε asks for the nodes' own rows, apart from z.
            there = layer == 0 and not dropped and not stash.features(size).fresh
            yield from stash.own_rows(layer, nodes, pairs[0], constant=there)
        for index, (inputs, outputs) in enumerate(pairwise(pairs)):
            first = layer == 0 and index == 0 and not spec.train_eps
            yield from stash.linear(
                layer,
                nodes,
                inputs,
                outputs,
                source="derived" if first else "step",
                of="mlp",
                activated=index > 0,
                features=stash.summed(size),
                moves=dropped,
            )
            if index + 2 < len(pairs):
                yield from stash.activation(layer, nodes, outputs)
        hidden = graphs or layer + 1 < len(found)
        if hidden:
            yield from stash.activation(layer, nodes, pairs[-1])
        if hidden and spec.batch_norm:
            yield from stash.batch_norm(layer, nodes, pairs[-1], shared=True)
        yield from stash.results(layer, nodes, pairs[-1], ("update", "forward"))
        yield from stash.protection(layer, nodes)
    if graphs:
        dropped = spec.readout_dropout > 0
        yield from stash.readout(len(found), size, spec.hidden, spec.readout_layers, dropout=dropped)


def build(spec: GINSpec, size: GraphSize) -> Stack:
    from engine.layers.gin import GINLayer
    from engine.layers.readout import Readout
    from engine.layers.stack import Stack

    layers = []
    found = shapes(spec, size)
    graphs = spec.readout != "none"
    for index, widths in enumerate(found):
        hidden = graphs or index + 1 < len(found)
        layers.append(
            GINLayer(
                widths[0],
                widths[-1],
                hidden=spec.hidden,
                mlp_layers=spec.mlp_layers,
                activate=hidden,
                batch_norm=spec.batch_norm and hidden,
                eps=spec.eps,
                train_eps=spec.train_eps,
            )
        )
    rates = [spec.dropout] * len(layers)
    if graphs:
        layers.append(Readout(spec.hidden, size.classes, pool=spec.readout, layers=spec.readout_layers))
        rates.append(spec.readout_dropout)
    return Stack(layers, dropout=rates, input_dropout=spec.input_dropout, activation=None)


def addressed(spec: GINSpec) -> int:
    return spec.layers + (spec.readout != "none")


ENTRIES = [
    Model(
        name="gin",
        summary="graph isomorphism network: an MLP over a node's own features and the sum of its neighbours'",
        source="Xu et al., ICLR 2019, arXiv 1810.00826",
        sites=("input", "weight", "feature", "message", "aggregate", "update", "gradient", "stash"),
        spec=GINSpec,
        products=products,
        kept=kept,
        build=build,
        layers=addressed,
        sums_first="neighbours and own",
    )
]
