"""GraphSAGE by Hamilton et al., NeurIPS 2017, full batch, with the mean or the max of the neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.datasets import GraphSize
from engine.form_marks import BASIC
from engine.models.entry import Model, ModelSpec, Pool, ReadoutDropout, ReadoutLayers

if TYPE_CHECKING:
    from torch import nn

    from engine.layers.stack import Stack
    from engine.ledger import Kept, Product


class SAGESpec(ModelSpec):
    """Options of GraphSAGE."""

    name: Literal["sage"] = "sage"
    layers: Annotated[int, Field(ge=1, le=64, json_schema_extra=BASIC)] = 2
    """Layers of neighbours and root."""
    hidden: Annotated[int, Field(ge=1, le=4096, json_schema_extra=BASIC)] = 16
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
    readout: Pool = "none"
    """How a graph's nodes are pooled; none: every node has an output."""
    readout_layers: ReadoutLayers = 2
    """Linear layers after the pool."""
    readout_dropout: ReadoutDropout = 0.5
    """Share of the last linear layer's input that is dropped, after a pool."""


def widths(spec: SAGESpec, size: GraphSize) -> list[tuple[int, int]]:
    """(inputs, outputs) of each layer, without a readout."""
    inner = [spec.hidden] * (spec.layers - 1)
    last = size.classes if spec.readout == "none" else spec.hidden
    return list(zip([size.features, *inner], [*inner, last], strict=True))


def products(spec: SAGESpec, size: GraphSize) -> Sequence[Product]:
    from engine.ledger import handed_back, linear_products, message_products, readout_products, updated
    from engine.ledger.products import entering

    found: list[Product] = []
    for layer, (inputs, outputs) in enumerate(widths(spec, size)):
        found += handed_back(layer, size.nodes, inputs)
        found += message_products(layer, size.nodes, size.edges, inputs, message_gradient=layer > 0)
        after = entering("message", layer, spec.layers, "aggregate") + entering("input", layer, spec.layers)
        for back in ("grad_aggregate", "grad_layer"):  # of the neighbours' product, of the root's
            found += linear_products(
                layer,
                size.nodes,
                inputs,
                outputs,
                input_gradient=layer > 0,
                then=(("update", "forward", layer), *after),
                back=(("gradient", back, layer),),
            )
        found += updated(layer, size.nodes, outputs)
    if spec.readout != "none":
        found += readout_products(spec.layers, size, spec.hidden, spec.readout_layers)
    return found


def kept(spec: SAGESpec, size: GraphSize) -> Iterator[Kept]:
    from engine.ledger import stash

    pairs, nodes = widths(spec, size), size.nodes
    graphs = spec.readout != "none"
    shared = False

    def held_by_sum(layer: int) -> Callable[[stash.Facts], bool]:
        """A maximum's gradient asks for the maxima, which enter the neighbours' product."""
        return lambda facts: spec.aggregate == "max" and not facts.rules("aggregate", "aggregate", layer)

    for layer, (inputs, outputs) in enumerate(pairs):
        dropped = spec.dropout > 0 and (layer > 0 or spec.input_dropout)
        if layer and spec.aggregate == "max":
            yield from stash.greatest(layer, nodes, inputs, activated=shared and not dropped)
        if layer:
            yield from stash.results(layer, nodes, inputs, ("message", "aggregate"), ("aggregate", "aggregate"))
        yield from stash.linear(
            layer,
            nodes,
            inputs,
            outputs,
            source="step" if layer else "derived",
            activated=held_by_sum(layer),
            features=stash.summed(size),
            moves=dropped,
        )
        yield from stash.linear(
            layer,
            nodes,
            inputs,
            outputs,
            source="step" if layer else "constant",
            dropout=dropped,
            activated=shared,
            features=stash.features(size),
        )
        if not layer and not dropped:
            yield from stash.remembered(layer, nodes, inputs, stash.features(size), stash.summed(size))
        yield from stash.results(layer, nodes, outputs, ("update", "forward"))
        yield from stash.protection(layer, nodes)
        if layer + 1 < len(pairs) or graphs:
            if spec.batch_norm:
                yield from stash.batch_norm(layer, nodes, outputs)
            yield from stash.activation(layer, nodes, outputs)
            shared = not (spec.residual and inputs == outputs)
    if graphs:
        dropped = spec.readout_dropout > 0
        yield from stash.readout(len(pairs), size, spec.hidden, spec.readout_layers, dropout=dropped, activated=shared)


def build(spec: SAGESpec, size: GraphSize) -> Stack:
    from engine.layers.readout import Readout
    from engine.layers.sage import SAGELayer
    from engine.layers.stack import Stack

    pairs = widths(spec, size)
    hidden = len(pairs) if spec.readout != "none" else len(pairs) - 1
    layers: list[nn.Module] = [
        SAGELayer(
            inputs,
            outputs,
            aggregate=spec.aggregate,
            bias=spec.bias,
            batch_norm=spec.batch_norm and index < hidden,
        )
        for index, (inputs, outputs) in enumerate(pairs)
    ]
    rates = [spec.dropout] * len(layers)
    if spec.readout != "none":
        layers.append(Readout(spec.hidden, size.classes, pool=spec.readout, layers=spec.readout_layers))
        rates.append(spec.readout_dropout)
    return Stack(layers, dropout=rates, input_dropout=spec.input_dropout, residual=spec.residual)


def addressed(spec: SAGESpec) -> int:
    return spec.layers + (spec.readout != "none")


ENTRIES = [
    Model(
        name="sage",
        summary="GraphSAGE: the mean or max of the neighbours beside the node itself, each with its own weight",
        source="Hamilton et al., NeurIPS 2017, arXiv 1706.02216",
        sites=("input", "weight", "feature", "message", "aggregate", "update", "gradient", "stash"),
        spec=SAGESpec,
        products=products,
        kept=kept,
        build=build,
        layers=addressed,
        sums_first="neighbours",
    )
]
