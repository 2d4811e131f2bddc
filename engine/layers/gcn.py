"""The graph convolution of Kipf & Welling with a site at every tensor of its mathematics.

h   = fq_input(X) · fq_weight(W)ᵀ          feature site: fq(h)
m_j = d_j^(−1/2) · h_j                     message site, once a node
a_i = Σ_j m_j over edges j→i and i itself
y_i = d_i^(−1/2) · a_i + b                 aggregate site before the bias, update site after it

``message="edge"`` quantizes norm_ij·h_j an edge, as [DQ]'s code does, protected by the edge's source; where
the message site is not quantized the two are the same sum.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from engine.kernels.aggregate import aggregate
from engine.kernels.edges import gather_sources, sum_edges
from engine.layers.batch_norm import BatchNorm
from engine.layers.join import Join
from engine.layers.linear import linear
from engine.layers.operand import Activation, Dropout
from engine.live import Sites
from engine.topology import Topology


class GCNLayer(nn.Module):
    """One graph convolution: [N, inputs] → [N, outputs]; with fp32 it equals PyG's GCNConv.

    ``message``: "node" or "edge"; ``batch_norm``: after the update site, as in PyG's BasicGNN.
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: bool = True, message: str = "node", batch_norm: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(outputs, inputs))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None
        self.message = message
        self.norm = BatchNorm(outputs) if batch_norm else None
        self.sites = Sites("input", "weight", "feature", "message", "aggregate", "update", "gradient", "stash")

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Glorot-uniform weight, zero bias, as GCNConv's."""
        bound = math.sqrt(6 / (self.weight.shape[0] + self.weight.shape[1]))
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)
            if self.bias is not None:
                self.bias.zero_()
        if self.norm is not None:
            self.norm.reset_parameters()

    def batch_norms(self) -> list[tuple[tuple[str, ...], str]]:
        """For engine.folding: the aggregate is linear, so the weight's rows take the batch norm's scale."""
        return [(("",), "norm")] if self.norm is not None else []

    def forward(self, x: Activation, topology: Topology, dropout: Dropout | None = None) -> Tensor:
        sites = self.sites
        by_edge = self.message == "edge" and sites.covers("message", "aggregate")
        sum_messages = self._by_edge if by_edge else self._by_node
        # No name for what is between: each is as large as the result, and gone when the next is there.
        out = sites(sum_messages(self._feature(x, dropout), topology), "aggregate", "aggregate", rows="nodes")
        if self.bias is not None:
            out = out + self.bias
        out = sites(out, "update", "forward", rows="nodes")
        return out if self.norm is None else self.norm(out)

    def _feature(self, x: Activation, dropout: Dropout | None) -> Tensor:
        product = linear(x, self.weight, self.sites, dropout, alone=True)
        return self.sites(product, "feature", "aggregate", rows="nodes")

    def _by_node(self, feature: Tensor, topology: Topology) -> Tensor:
        scale = topology.looped.inverse_sqrt_degree
        message = self.sites(feature * scale, "message", "aggregate", rows="nodes")
        del feature
        self.sites.summed(message, topology.looped)
        total = self.sites.gradient(aggregate(message, topology.looped))
        del message
        return total * scale

    def _by_edge(self, feature: Tensor, topology: Topology) -> Tensor:
        adjacency = topology.looped
        message = adjacency.edge_norm * gather_sources(feature, adjacency)
        message = self.sites(message, "message", "aggregate", rows=adjacency.sources)
        self.sites.summed(message, adjacency)
        return self.sites.gradient(sum_edges(message, adjacency))

    def join(self, topology: Topology) -> Join:
        """Nodes' messages are scaled after the sum as well; a message of an edge has its norm already."""
        by_edge = self.message == "edge"
        return Join(topology.looped, by_edge, factor=None if by_edge else topology.looped.inverse_sqrt_degree)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[1]}, {self.weight.shape[0]}, bias={self.bias is not None}, message={self.message!r}"
