"""A linear layer with its bias and its sites: the parts of an MLP, the two products of GraphSAGE, a readout."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from engine.layers.linear import linear
from engine.layers.operand import Activation, Dropout
from engine.live import Sites


class DenseLayer(nn.Module):
    """y = fq_feature(fq_input(X)·fq_weight(W)ᵀ + b): [rows, inputs] → [rows, outputs], as torch's Linear.

    ``of``: what the rows are (see ``Sites``). ``relu``: applied last, as a layer of its own needs it.
    """

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, of: str = "nodes", relu: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.relu = relu
        self.sites = Sites("input", "weight", "feature", "gradient", "stash", of=of)

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Uniform within ±1/√inputs, as torch's Linear."""
        bound = 1 / math.sqrt(self.weight.shape[1]) if self.weight.shape[1] else 0.0
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)
            if self.bias is not None:
                self.bias.uniform_(-bound, bound, generator=generator)

    def forward(self, x: Activation, topology: object = None, dropout: Dropout | None = None) -> Tensor:
        out = linear(x, self.weight, self.sites, dropout)
        if self.bias is not None:
            out = out + self.bias
        out = self.sites(out, "feature", "forward", rows="nodes")
        return torch.relu(out) if self.relu else out

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, bias={self.bias is not None}"
