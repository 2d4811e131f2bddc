"""A stack of graph layers with an activation and dropout between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from engine.layers.activation import packed_relu
from engine.layers.dropout import dropped
from engine.layers.operand import Activation, Dropout
from engine.live import Sites
from engine.randomness import make_key, stream_id
from engine.topology import Topology


class Stack(nn.Module):
    """Layers in a row: [N, features] → [N, classes] (with a readout as the last layer: [graphs, classes]).

    Dropout (rate ``dropout``, or a rate a layer) falls on each layer's quantized input, on the first one's only
    with ``input_dropout``; its mask is hashed from (seed, layer, step). ``attention_dropout``: the rate (or a rate a
    layer, 0 for those without attention) that falls on the attention. ``activation``: between the layers (None where
    the layers have their own). ``residual``: every layer but the last whose output is as wide as its input adds that
    input (dropped as the layer saw it) after the activation, as PyG's DeepGCNLayer with block="res".
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        *,
        dropout: float | Sequence[float],
        input_dropout: bool = True,
        attention_dropout: float | Sequence[float] = 0.0,
        activation: Callable[[Tensor], Tensor] | None = torch.relu,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        rates = [dropout] * len(layers) if isinstance(dropout, int | float) else dropout
        self.rates = tuple(rate if index or input_dropout else 0.0 for index, rate in enumerate(rates))
        single = isinstance(attention_dropout, int | float)
        self.attention_rates = tuple([attention_dropout] * len(layers) if single else attention_dropout)
        self.activation = activation
        self.residual = residual

    def reset_parameters(self, seed: int) -> None:
        """Fresh parameters, the same for the same seed."""
        generator = torch.Generator().manual_seed(seed)
        for layer in self.layers:
            layer.reset_parameters(generator)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Activation, topology: Topology, *, seed: int = 0, step: int = 0) -> Tensor:
        """Class scores. In training mode the dropout of this (seed, step) applies."""

        def draw(rate: float, stream: str) -> Dropout | None:
            return Dropout(rate, make_key(seed, stream_id(stream), step)) if self.training and rate else None

        out: Activation = x
        for index, (layer, rate) in enumerate(zip(self.layers, self.rates, strict=True)):
            dropout = draw(rate, f"dropout/{index}")
            attention = self.attention_rates[index]
            more = {"attention_dropout": draw(attention, f"dropout/{index}/attention")} if attention else {}
            if index and isinstance(out, Tensor):
                out = _handed_back(out, layer)
            y: Tensor = layer(out, topology, dropout, **more)
            if index + 1 == len(self.layers):
                return y
            if self.activation is torch.relu and _keeps_packed(self.layers[index + 1]):
                y = packed_relu(y)
            elif self.activation is not None:
                y = self.activation(y)
            if self.residual and y.shape == out.shape:
                y = y + dropped(out if isinstance(out, Tensor) else out.dense(), dropout)
            out = y
        raise AssertionError("a stack has at least one layer")


def _keeps_packed(layer: nn.Module) -> bool:
    """Whether a layer keeps its input packed, so that nobody holds what comes before it in full."""
    sites = getattr(layer, "sites", None)
    return isinstance(sites, Sites) and sites.covers("stash", "grad_weight")


def _handed_back(x: Tensor, layer: nn.Module) -> Tensor:
    """x; the gradient that the layer hands to the one before it is quantized at the layer's site "gradient"."""
    sites = getattr(layer, "sites", None)
    return sites.gradient(x, "grad_layer") if isinstance(sites, Sites) else x
