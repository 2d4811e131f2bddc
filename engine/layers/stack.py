"""A stack of graph layers with ReLU and dropout between them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.layers.operand import Activation, Dropout
from engine.randomness import make_key, stream_id
from engine.topology import Topology


class Stack(nn.Module):
    """Layers in a row: [N, features] → [N, classes].

    Dropout (rate ``dropout``) falls on each layer's quantized input, on the first one's only with
    ``input_dropout``; its mask is hashed from (seed, layer, step).
    """

    def __init__(self, layers: Sequence[nn.Module], *, dropout: float, input_dropout: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.dropout = dropout
        self.input_dropout = input_dropout

    def reset_parameters(self, seed: int) -> None:
        """Fresh parameters, the same for the same seed."""
        generator = torch.Generator().manual_seed(seed)
        for layer in self.layers:
            layer.reset_parameters(generator)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Activation, topology: Topology, *, seed: int = 0, step: int = 0) -> Tensor:
        """Class scores. In training mode the dropout of this (seed, step) applies."""
        out: Activation = x
        for index, layer in enumerate(self.layers):
            drops = self.training and self.dropout > 0 and (index > 0 or self.input_dropout)
            dropout = Dropout(self.dropout, make_key(seed, stream_id(f"dropout/{index}"), step)) if drops else None
            y: Tensor = layer(out, topology, dropout)
            if index + 1 == len(self.layers):
                return y
            out = torch.relu(y)
        raise AssertionError("a stack has at least one layer")
