"""The graph convolution of Kipf & Welling with a site at every tensor of its mathematics.

h   = fq_input(X) · fq_weight(W)ᵀ          feature site: fq(h)
m_j = d_j^(−1/2) · h_j                     message site, once a node
a_i = Σ_j m_j over edges j→i and i itself  aggregate site: the plain sum
y_i = d_i^(−1/2) · a_i + b                 update site
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from engine.kernels.aggregate import Adjacency, aggregate
from engine.layers.fake_quantize import fake_quantize
from engine.layers.linear import Dropout, LayerInput, linear
from engine.live import Sites


class GCNLayer(nn.Module):
    """One graph convolution: [N, inputs] → [N, outputs]; with fp32 it equals PyG's GCNConv."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.sites = Sites()

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Glorot-uniform weight, zero bias, as GCNConv's."""
        bound = math.sqrt(6 / (self.weight.shape[0] + self.weight.shape[1]))
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)
            if self.bias is not None:
                self.bias.zero_()

    def forward(self, x: LayerInput, adjacency: Adjacency, dropout: Dropout | None = None) -> Tensor:
        feature = fake_quantize(linear(x, self.weight, self.sites, dropout), self.sites, "feature", "aggregate")
        message = fake_quantize(feature * adjacency.inverse_sqrt_degree, self.sites, "message", "aggregate")
        total = aggregate(message, adjacency) * adjacency.inverse_sqrt_degree
        out = fake_quantize(total, self.sites, "aggregate", "aggregate")
        if self.bias is not None:
            out = out + self.bias
        return fake_quantize(out, self.sites, "update", "forward")

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, bias={self.bias is not None}"
