"""GraphSAGE by Hamilton et al., NeurIPS 2017, full batch, with the mean or the max of the neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.datasets import GraphSize
from engine.models.entry import Model, ModelSpec

if TYPE_CHECKING:
    from engine.layers.stack import Stack
    from engine.ledger import Product


class SAGESpec(ModelSpec):
    """Options of GraphSAGE."""

    name: Literal["sage"] = "sage"
    layers: Annotated[int, Field(ge=1, le=64)] = 2
    """Layers of neighbours and root."""
    hidden: Annotated[int, Field(ge=1, le=4096)] = 16
    """Width of the hidden layers."""
    aggregate: Literal["mean", "max", "sum"] = "mean"
    """How a node's messages are joined."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """Share of a layer's input that is dropped."""
    input_dropout: bool = True
    """Whether the first layer's input is dropped too."""
    bias: bool = True
    """Whether each layer has a bias."""
    batch_norm: bool = False
    """Whether every layer but the last is followed by batch normalization, before its ReLU."""
    residual: bool = False
    """Whether a hidden layer as wide as its input adds that input after its ReLU."""


def widths(spec: SAGESpec, size: GraphSize) -> list[tuple[int, int]]:
    """(inputs, outputs) of each layer."""
    inner = [spec.hidden] * (spec.layers - 1)
    return list(zip([size.features, *inner], [*inner, size.classes], strict=True))


def products(spec: SAGESpec, size: GraphSize) -> Sequence[Product]:
    from engine.ledger import linear_products, message_products

    found: list[Product] = []
    for layer, (inputs, outputs) in enumerate(widths(spec, size)):
        found += message_products(layer, size.nodes, size.edges, inputs, message_gradient=layer > 0)
        for _ in ("neighbours", "root"):
            found += linear_products(layer, size.nodes, inputs, outputs, input_gradient=layer > 0)
    return found


def build(spec: SAGESpec, size: GraphSize) -> Stack:
    from engine.layers.sage import SAGELayer
    from engine.layers.stack import Stack

    pairs = widths(spec, size)
    return Stack(
        [
            SAGELayer(
                inputs,
                outputs,
                aggregate=spec.aggregate,
                bias=spec.bias,
                batch_norm=spec.batch_norm and index + 1 < len(pairs),
            )
            for index, (inputs, outputs) in enumerate(pairs)
        ],
        dropout=spec.dropout,
        input_dropout=spec.input_dropout,
        residual=spec.residual,
    )


ENTRIES = [
    Model(
        name="sage",
        summary="GraphSAGE: the mean or max of the neighbours beside the node itself, each with its own weight",
        source="Hamilton et al., NeurIPS 2017, arXiv 1706.02216",
        sites=("input", "weight", "feature", "message", "aggregate", "update", "gradient", "stash"),
        spec=SAGESpec,
        products=products,
        build=build,
    )
]
