"""AGNN: attention-based propagation by Thekumparampil et al., 2018, between two linear layers."""

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
    from engine.ledger import Kept, Place, Product


class AGNNSpec(ModelSpec):
    """Options of AGNN; the defaults are SGQuant's four layers of 16 (METHODS §5, §10).

    Its four quantized node tensors are the inputs of the linear layer (F wide), of two propagations and of the
    last linear layer (16 wide): 4·N·(F + 3·16 + C) bytes with the output, as in its Table III.
    """

    name: Literal["agnn"] = "agnn"
    layers: Annotated[int, Field(ge=2, le=64, json_schema_extra=BASIC)] = 4
    """All layers: a linear one, propagations, a linear one."""
    hidden: Annotated[int, Field(ge=1, le=4096, json_schema_extra=BASIC)] = 16
    """Width of the propagated features."""
    train_beta: bool = True
    """Whether each propagation's temperature is learned."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of the linear layers' inputs that is dropped."""
    input_dropout: bool = True
    """Whether the first layer's input is dropped too."""
    readout: Pool = "none"
    """How a graph's nodes are pooled; none: every node has an output."""
    readout_layers: ReadoutLayers = 2
    """Linear layers after the pool, in place of the last linear layer."""
    readout_dropout: ReadoutDropout = 0.5
    """Share of the last linear layer's input that is dropped, after a pool."""


def products(spec: AGNNSpec, size: GraphSize) -> Sequence[Product]:
    from engine.ledger import attention_products, handed_back, linear_products, readout_products, updated

    last, edges = spec.layers - 1, size.looped

    def entering(layer: int) -> tuple[Place, ...]:
        if layer == last:
            return (("input", "forward", layer),) if spec.readout == "none" else ()
        return (("input", "aggregate", layer),)

    first = linear_products(0, size.nodes, size.features, spec.hidden, input_gradient=False, then=entering(1))
    found: list[Product] = list(first)
    for layer in range(1, last):
        found += attention_products(layer, size.nodes, edges, 1, spec.hidden, vectors=False, then=entering(layer + 1))
        found += updated(layer, size.nodes, spec.hidden)
        found += handed_back(layer, size.nodes, spec.hidden)
    if spec.readout != "none":
        return [*found, *readout_products(last, size, spec.hidden, spec.readout_layers)]
    found += linear_products(last, size.nodes, spec.hidden, size.classes, input_gradient=True)
    return [*found, *handed_back(last, size.nodes, spec.hidden)]


def kept(spec: AGNNSpec, size: GraphSize) -> Iterator[Kept]:
    from engine.ledger import stash

    last, nodes, edges = spec.layers - 1, size.nodes, size.looped
    yield from stash.linear(
        0,
        nodes,
        size.features,
        spec.hidden,
        source="constant",
        dropout=spec.dropout > 0 and spec.input_dropout,
        features=stash.features(size),
    )
    yield from stash.protection(0, nodes)
    yield from stash.activation(0, nodes, spec.hidden)
    for layer in range(1, last):
        learned, activated = spec.train_beta, layer == 1
        yield from stash.attention(
            layer, nodes, edges, 1, spec.hidden, vectors=False, learned=learned, activated=activated
        )
        yield from stash.results(layer, nodes, spec.hidden, ("update", "forward"))
    activated = last == 1
    if spec.readout != "none":
        dropped = spec.readout_dropout > 0
        yield from stash.readout(last, size, spec.hidden, spec.readout_layers, dropout=dropped, activated=activated)
        return
    dropped = spec.dropout > 0
    yield from stash.linear(last, nodes, spec.hidden, size.classes, dropout=dropped, activated=activated)
    yield from stash.protection(last, nodes)


def build(spec: AGNNSpec, size: GraphSize) -> Stack:
    from engine.layers.agnn import AGNNLayer
    from engine.layers.dense import DenseLayer
    from engine.layers.readout import Readout
    from engine.layers.stack import Stack

    inner = [AGNNLayer(train_beta=spec.train_beta) for _ in range(spec.layers - 2)]
    last: nn.Module = DenseLayer(spec.hidden, size.classes)
    if spec.readout != "none":
        last = Readout(spec.hidden, size.classes, pool=spec.readout, layers=spec.readout_layers)
    ending = spec.dropout if spec.readout == "none" else spec.readout_dropout
    return Stack(
        [DenseLayer(size.features, spec.hidden, relu=True), *inner, last],
        dropout=[spec.dropout, *[0.0] * len(inner), ending],
        input_dropout=spec.input_dropout,
        activation=None,
    )


ENTRIES = [
    Model(
        name="agnn",
        summary="a linear layer, propagations weighted by the cosine of the nodes, a linear layer",
        source="Thekumparampil et al., 2018, arXiv 1803.03735",
        sites=(
            "input", "weight", "feature", "message", "aggregate", "update", "score", "attention", "gradient", "stash",
        ),
        spec=AGNNSpec,
        products=products,
        kept=kept,
        build=build,
    )
]  # fmt: skip
