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

from engine.kernels.aggregate import aggregate
from engine.layers.linear import linear
from engine.layers.operand import Activation, Dropout
from engine.live import Sites
from engine.topology import Topology


class GCNLayer(nn.Module):
    """One graph convolution: [N, inputs] → [N, outputs]; with fp32 it equals PyG's GCNConv."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.sites = Sites("input", "weight", "feature", "message", "aggregate", "update", "gradient")

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Glorot-uniform weight, zero bias, as GCNConv's."""
        bound = math.sqrt(6 / (self.weight.shape[0] + self.weight.shape[1]))
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)
            if self.bias is not None:
                self.bias.zero_()

    def forward(self, x: Activation, topology: Topology, dropout: Dropout | None = None) -> Tensor:
        sites, adjacency = self.sites, topology.looped
        feature = sites(linear(x, self.weight, sites, dropout), "feature", "aggregate", rows="nodes")
        message = sites(feature * adjacency.inverse_sqrt_degree, "message", "aggregate", rows="nodes")
        total = sites.gradient(aggregate(message, adjacency)) * adjacency.inverse_sqrt_degree
        out = sites(total, "aggregate", "aggregate", rows="nodes")
        if self.bias is not None:
            out = out + self.bias
        return sites(out, "update", "forward", rows="nodes")

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, bias={self.bias is not None}"
