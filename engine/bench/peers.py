"""What Bitfront is measured against: PyG's own layers in fp32, and quantized GCN as its formulas read, in torch.

Both are built from the spec of the run that they stand beside, so that widths, dropout and activations are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import AGNNConv, GATConv, GCNConv, GINConv, SAGEConv
from torch_geometric.utils import degree, to_torch_csr_tensor

from engine.datasets import GraphSize
from engine.models.gat import shapes as gat_shapes
from engine.models.gcn import widths as gcn_widths
from engine.models.gin import shapes as gin_shapes
from engine.models.sage import widths as sage_widths

Form = Literal["edge_index", "torch.sparse"]
"""What PyG's layers take: edges, whose messages are gathered and scattered, or a CSR matrix that is multiplied."""


class PyGStack(nn.Module):
    """A model of the catalogue by PyG's layers: [N, features] → [N, classes]. For node labels, without options that
    PyG's layers lack."""

    def __init__(self, spec: Any, size: GraphSize) -> None:
        super().__init__()
        self.spec = spec
        self.convolutions = nn.ModuleList(LAYERS[spec.name](spec, size))
        self.activation = functional.elu if spec.name == "gat" else torch.relu

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        last = len(self.convolutions) - 1
        for index, layer in enumerate(self.convolutions):
            # AGNN's propagations have neither dropout nor an activation.
            linear = self.spec.name != "agnn" or isinstance(layer, nn.Linear)
            if linear and (index or self.spec.input_dropout):
                x = functional.dropout(x, self.spec.dropout, self.training)
            x = layer(x) if isinstance(layer, nn.Linear) else layer(x, edges)
            if linear and index < last:
                x = self.activation(x)
        return x


def _gcn(spec: Any, size: GraphSize) -> Iterator[nn.Module]:
    for inputs, outputs in gcn_widths(spec, size):
        yield GCNConv(inputs, outputs, cached=True, bias=spec.bias)


def _gat(spec: Any, size: GraphSize) -> Iterator[nn.Module]:
    for layer, (inputs, heads, channels) in enumerate(gat_shapes(spec, size)):
        yield GATConv(
            inputs,
            channels,
            heads=heads,
            concat=layer + 1 < spec.layers,
            negative_slope=spec.negative_slope,
            dropout=spec.attention_dropout,
            bias=spec.bias,
        )


def _sage(spec: Any, size: GraphSize) -> Iterator[nn.Module]:
    for inputs, outputs in sage_widths(spec, size):
        yield SAGEConv(inputs, outputs, aggr=spec.aggregate, bias=spec.bias)


def _gin(spec: Any, size: GraphSize) -> Iterator[nn.Module]:
    for inputs, outputs in gin_shapes(spec, size):  # one linear layer each, as Degree-Quant has it
        yield GINConv(nn.Linear(inputs, outputs), eps=spec.eps, train_eps=spec.train_eps)


def _agnn(spec: Any, size: GraphSize) -> Iterator[nn.Module]:
    yield nn.Linear(size.features, spec.hidden)
    for _ in range(spec.layers - 2):
        yield AGNNConv(requires_grad=spec.train_beta)
    yield nn.Linear(spec.hidden, size.classes)


LAYERS: dict[str, Callable[[Any, GraphSize], Iterator[nn.Module]]] = {
    "gcn": _gcn,
    "gat": _gat,
    "sage": _sage,
    "gin": _gin,
    "agnn": _agnn,
}


def edges_as(form: Form, edge_index: Tensor, nodes: int) -> Tensor:
    """The edges [2, E] as PyG's layers take them in this form."""
    if form == "edge_index":
        return edge_index
    return to_torch_csr_tensor(edge_index.flip(0), size=(nodes, nodes))


class PlainGCN(nn.Module):
    """GCN with every site of a bare format (weight, input, feature, aggregate, incoming gradient) quantized by a
    plain formula each step, and messages gathered and added edge by edge: what one writes down first.

    ``blocks``: boxes are made anew along the axis that each product sums over.
    """

    def __init__(self, spec: Any, size: GraphSize, quantize: Callable[[Tensor], Tensor], *, blocks: bool) -> None:
        super().__init__()
        self.spec, self.quantize, self.blocks = spec, quantize, blocks
        pairs = gcn_widths(spec, size)
        self.weights = nn.ParameterList(nn.init.xavier_uniform_(torch.empty(out, inputs)) for inputs, out in pairs)
        self.biases = nn.ParameterList(torch.zeros(out) for _, out in pairs)

    def prepare(self, edge_index: Tensor, nodes: int) -> tuple[Tensor, Tensor, Tensor]:
        """(sources, targets, norm) of the edges with their loops."""
        kept = edge_index[:, edge_index[0] != edge_index[1]]
        loops = torch.arange(nodes)
        source, target = torch.cat([kept, torch.stack([loops, loops])], 1)
        scale = degree(target, nodes).pow(-0.5)
        return source, target, (scale[source] * scale[target]).unsqueeze(1)

    def forward(self, x: Tensor, edges: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        source, target, norm = edges
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            # Quantized first, then dropped, as Bitfront has it.
            entered = Rounded.apply(x, self.quantize)
            if index or self.spec.input_dropout:
                entered = functional.dropout(entered, self.spec.dropout, self.training)
            feature = QuantizedProduct.apply(entered, weight, self.quantize, self.blocks)
            feature = Rounded.apply(feature, self.quantize)
            total = torch.zeros_like(feature).index_add(0, target, norm * feature[source])
            x = Rounded.apply(total, self.quantize) + bias
            if index < last:
                x = torch.relu(x)
        return x


class Rounded(torch.autograd.Function):
    """The formula forward, the identity backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, quantize: Callable[[Tensor], Tensor]) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return quantize(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient, None


class QuantizedProduct(torch.autograd.Function):
    """X·Wᵀ with W quantized, and the incoming gradient in both products of the backward pass."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, x: Tensor, weight: Tensor, quantize: Callable[[Tensor], Tensor], blocks: bool
    ) -> Tensor:
        rounded = quantize(weight)
        ctx.quantize, ctx.blocks = quantize, blocks
        ctx.save_for_backward(x, weight if blocks else rounded)
        return x @ rounded.t()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        quantize, blocks = ctx.quantize, ctx.blocks
        rounded = quantize(gradient)
        to_input = None
        if ctx.needs_input_grad[0]:
            to_input = rounded @ (quantize(weight.t().contiguous()).t() if blocks else weight)
        if blocks:
            return to_input, quantize(gradient.t().contiguous()) @ quantize(x.t().contiguous()).t(), None, None
        return to_input, rounded.t() @ x, None, None
