"""Attention-based propagation of Thekumparampil et al.: no weight, one learned temperature, a site at every tensor.

x̂     = fq_input(X)                              what enters the layer
s_e   = β·cos(x̂_i, x̂_j) for e: j→i               score site
α, m, a: see engine.layers.propagate, with x̂ as the feature
y_i   = fq_update(a_i)

Every node has one self-loop, its own ones are replaced, as in PyG.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.kernels.edges import dot_edges
from engine.layers.dropout import dropped
from engine.layers.join import Join
from engine.layers.operand import Activation, Constant, Dropout
from engine.layers.propagate import SITES, propagate
from engine.live import Sites
from engine.topology import Topology


class AGNNLayer(nn.Module):
    """One propagation: [N, F] → [N, F]; with fp32 it equals PyG's AGNNConv. ``train_beta``: β is learned from 1 on."""

    def __init__(self, *, train_beta: bool = True) -> None:
        super().__init__()
        self.beta = nn.Parameter(torch.ones(1), requires_grad=train_beta)
        self.sites = Sites("input", *SITES, "update", "gradient")

    def reset_parameters(self, generator: torch.Generator) -> None:
        """β = 1, as AGNNConv's."""
        with torch.no_grad():
            self.beta.fill_(1)

    def forward(self, x: Activation, topology: Topology, dropout: Dropout | None = None) -> Tensor:
        sites, adjacency = self.sites, topology.looped
        entered = sites(x.dense() if isinstance(x, Constant) else x, "input", "aggregate", rows="nodes")
        entered = dropped(entered, dropout)
        score = self.beta * dot_edges(functional.normalize(entered, dim=-1), adjacency)
        out = propagate(score, entered, adjacency, sites)
        return sites(out, "update", "forward", rows="nodes")

    def join(self, topology: Topology) -> Join:
        return Join(topology.looped, by_edge=True)
