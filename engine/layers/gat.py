"""Graph attention of Veličković et al., any number of heads, with a site at every tensor.

h     = fq_feature(fq_input(X)·fq_weight(W)ᵀ)               H heads of C channels
s_e   = leaky_relu(a_src·h_j + a_dst·h_i) for e: j→i        score site; a is a weight of its own
α, m, a: see engine.layers.propagate
y_i   = fq_update(heads side by side, or their mean, + residual + b)

The attention vectors are parameters: they lie at the site "weight" and are never protected. Every node
has one self-loop, its own ones are replaced, as in PyG.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.kernels.edges import gather_sources, gather_targets
from engine.layers.batch_norm import BatchNorm
from engine.layers.dense import DenseLayer
from engine.layers.join import Join
from engine.layers.linear import linear
from engine.layers.operand import Activation, Dropout
from engine.layers.propagate import SITES, propagate
from engine.live import Sites
from engine.topology import Topology


class AttentionVectors(nn.Module):
    """a_src and a_dst as one weight [2, heads, channels]: h [N, heads·channels] → (source, target) terms [N, heads]."""

    def __init__(self, heads: int, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(2, heads, channels))
        self.sites = Sites("weight")

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Glorot-uniform, as GATConv's."""
        bound = math.sqrt(6 / (self.weight.shape[1] + self.weight.shape[2]))
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)

    def forward(self, feature: Tensor) -> tuple[Tensor, Tensor]:
        _, heads, channels = self.weight.shape
        source, target = self.sites(self.weight, "weight", "aggregate").unbind(0)
        by_head = feature.view(-1, heads, channels)
        return (by_head * source).sum(-1), (by_head * target).sum(-1)


class GATLayer(nn.Module):
    """One attention layer: [N, inputs] → [N, heads·channels], or [N, channels] without ``concat``.

    With fp32 it equals PyG's GATConv. ``residual``: plus a linear product of the layer's input, as GATConv's;
    ``batch_norm``: after the update site.
    """

    def __init__(
        self,
        inputs: int,
        channels: int,
        *,
        heads: int = 1,
        concat: bool = True,
        negative_slope: float = 0.2,
        bias: bool = True,
        residual: bool = False,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.channels, self.concat, self.negative_slope = heads, channels, concat, negative_slope
        outputs = heads * channels if concat else channels
        self.weight = nn.Parameter(torch.empty(heads * channels, inputs))
        self.attention = AttentionVectors(heads, channels)
        self.residual = DenseLayer(inputs, outputs, bias=False) if residual else None
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.norm = BatchNorm(outputs) if batch_norm else None
        self.sites = Sites("input", "weight", "feature", *SITES, "update", "gradient", "stash")

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Glorot-uniform weights, zero bias, as GATConv's."""
        bound = math.sqrt(6 / (self.weight.shape[0] + self.weight.shape[1]))
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)
            if self.bias is not None:
                self.bias.zero_()
        self.attention.reset_parameters(generator)
        if self.residual is not None:
            self.residual.reset_parameters(generator)
        if self.norm is not None:
            self.norm.reset_parameters()

    def forward(
        self,
        x: Activation,
        topology: Topology,
        dropout: Dropout | None = None,
        attention_dropout: Dropout | None = None,
    ) -> Tensor:
        sites, adjacency = self.sites, topology.looped
        alone = self.residual is None
        feature = sites(linear(x, self.weight, sites, dropout, alone=alone), "feature", "aggregate", rows="nodes")
        source, target = self.attention(feature)
        score = functional.leaky_relu(
            gather_sources(source, adjacency) + gather_targets(target, adjacency), self.negative_slope
        )
        out = propagate(score, feature, adjacency, sites, attention_dropout)
        if not self.concat:
            out = out.view(-1, self.heads, self.channels).mean(1)
        if self.residual is not None:
            out = out + self.residual(x, topology, dropout)
        if self.bias is not None:
            out = out + self.bias
        out = sites(out, "update", "forward", rows="nodes")
        return out if self.norm is None else self.norm(out)

    def join(self, topology: Topology) -> Join:
        return Join(topology.looped, by_edge=True)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.channels}, heads={self.heads}, concat={self.concat}"
