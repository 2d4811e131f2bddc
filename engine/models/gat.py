"""GAT: graph attention by Veličković et al., ICLR 2018, any number of layers and heads."""

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


class GATSpec(ModelSpec):
    """Options of GAT; the defaults are the Planetoid setting, 8 × 8 heads (METHODS §10)."""

    name: Literal["gat"] = "gat"
    layers: Annotated[int, Field(ge=1, le=64, json_schema_extra=BASIC)] = 2
    """Attention layers."""
    hidden: Annotated[int, Field(ge=1, le=4096, json_schema_extra=BASIC)] = 8
    """Channels of each head of the hidden layers."""
    heads: Annotated[int, Field(ge=1, le=64, json_schema_extra=BASIC)] = 8
    """Heads of the hidden layers, side by side."""
    output_heads: Annotated[int, Field(ge=1, le=64)] = 1
    """Heads of the last layer, averaged; with a readout the last layer has the others' heads, side by side."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.6
    """Share of a layer's input that is dropped."""
    input_dropout: bool = True
    """Whether the first layer's input is dropped too."""
    attention_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.6
    """Share of the attention that is dropped."""
    negative_slope: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Slope of the scores' leaky ReLU below zero."""
    bias: bool = True
    """Whether each layer adds a bias after the aggregate."""
    residual: bool = False
    """Whether each layer adds a linear product of its input, as PyG's GATConv(residual=True)."""
    batch_norm: bool = False
    """Whether every layer but the last is followed by batch normalization, before its ELU."""
    readout: Pool = "none"
    """How a graph's nodes are pooled; none: every node has an output."""
    readout_layers: ReadoutLayers = 2
    """Linear layers after the pool."""
    readout_dropout: ReadoutDropout = 0.5
    """Share of the last linear layer's input that is dropped, after a pool."""


def shapes(spec: GATSpec, size: GraphSize) -> list[tuple[int, int, int]]:
    """(inputs, heads, channels) of each layer, without a readout."""
    inner = [(spec.heads, spec.hidden)] * (spec.layers - 1)
    inputs = [size.features, *[heads * channels for heads, channels in inner]]
    outputs = [*inner, (spec.output_heads, size.classes) if spec.readout == "none" else (spec.heads, spec.hidden)]
    return [(width, heads, channels) for width, (heads, channels) in zip(inputs, outputs, strict=True)]


def products(spec: GATSpec, size: GraphSize) -> Sequence[Product]:
    from engine.ledger import attention_products, handed_back, linear_products, readout_products, updated
    from engine.ledger.products import entering

    found: list[Product] = []
    nodes, edges = size.nodes, size.looped
    for layer, (inputs, heads, channels) in enumerate(shapes(spec, size)):
        outputs = heads * channels
        back = (("gradient", "grad_layer", layer), ("gradient", "grad_aggregate", layer - 1))
        needed, then = layer > 0, (("feature", "aggregate", layer),)
        found += linear_products(
            layer, nodes, inputs, outputs, input_gradient=needed, dense=False, then=then, back=back
        )
        found += handed_back(layer, nodes, inputs)
        after = entering("input", layer, spec.layers)
        found += attention_products(layer, nodes, edges, heads, channels, vectors=True, then=after)
        wide = channels if layer + 1 == spec.layers and spec.readout == "none" else outputs
        if spec.residual:
            then = (("update", "forward", layer), *after)
            found += linear_products(layer, nodes, inputs, wide, input_gradient=needed, then=then, back=back)
        found += updated(layer, nodes, wide)
    if spec.readout != "none":
        found += readout_products(spec.layers, size, spec.heads * spec.hidden, spec.readout_layers)
    return found


def kept(spec: GATSpec, size: GraphSize) -> Iterator[Kept]:
    from engine.ledger import stash

    found, nodes, edges = shapes(spec, size), size.nodes, size.looped
    graphs = spec.readout != "none"
    for layer, (inputs, heads, channels) in enumerate(found):
        dropped = spec.dropout > 0 and (layer > 0 or spec.input_dropout)
        outputs = heads * channels
        hidden = layer + 1 < len(found) or graphs
        wide = outputs if hidden else channels
        for number, width in enumerate([outputs, wide] if spec.residual else [outputs]):
            yield from stash.linear(
                layer,
                nodes,
                inputs,
                width,
                source="step" if layer else "constant",
                dropout=dropped,
                activated=number > 0,
                features=stash.features(size),
                dense=number > 0,
                alone=not spec.residual,
            )
        yield from stash.attention(
            layer, nodes, edges, heads, channels, vectors=True, dropout=spec.attention_dropout > 0
        )
        yield from stash.results(layer, nodes, wide, ("update", "forward"))
        if hidden:
            if spec.batch_norm:
                yield from stash.batch_norm(layer, nodes, wide)
            yield from stash.activation(layer, nodes, wide)
    if graphs:
        dropped, width = spec.readout_dropout > 0, spec.heads * spec.hidden
        yield from stash.readout(len(found), size, width, spec.readout_layers, dropout=dropped)


def build(spec: GATSpec, size: GraphSize) -> Stack:
    from torch.nn import functional

    from engine.layers.gat import GATLayer
    from engine.layers.readout import Readout
    from engine.layers.stack import Stack

    hidden = spec.layers if spec.readout != "none" else spec.layers - 1
    layers: list[nn.Module] = [
        GATLayer(
            inputs,
            channels,
            heads=heads,
            concat=layer < hidden,
            negative_slope=spec.negative_slope,
            bias=spec.bias,
            residual=spec.residual,
            batch_norm=spec.batch_norm and layer < hidden,
        )
        for layer, (inputs, heads, channels) in enumerate(shapes(spec, size))
    ]
    rates = [spec.dropout] * len(layers)
    if spec.readout != "none":
        width = spec.heads * spec.hidden
        layers.append(Readout(width, size.classes, pool=spec.readout, layers=spec.readout_layers))
        rates.append(spec.readout_dropout)
    return Stack(
        layers,
        dropout=rates,
        input_dropout=spec.input_dropout,
        attention_dropout=[spec.attention_dropout] * spec.layers + [0.0] * (len(layers) - spec.layers),
        activation=functional.elu,
    )


def addressed(spec: GATSpec) -> int:
    return spec.layers + (spec.readout != "none")


ENTRIES = [
    Model(
        name="gat",
        summary="graph attention: each edge's weight is a softmax over learned scores, several heads side by side",
        source="Veličković et al., ICLR 2018, arXiv 1710.10903",
        sites=(
            "input", "weight", "feature", "message", "aggregate", "update", "score", "attention", "gradient", "stash",
        ),
        spec=GATSpec,
        products=products,
        kept=kept,
        build=build,
        layers=addressed,
    )
]  # fmt: skip
