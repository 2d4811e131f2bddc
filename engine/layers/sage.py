"""GraphSAGE of Hamilton et al., mean or max of the neighbours, with a site at every tensor.

m_j = fq_message(x_j)                                  once a node
a_i = fq_aggregate(mean or max of m_j over edges j→i)
y_i = fq_update(a_i·W₁ᵀ + b + x_i·W₂ᵀ)                 each product has its own input, weight, feature and gradient

Dropout falls on the root's quantized input and, with the same mask, on the quantized message.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.layers.batch_norm import BatchNorm
from engine.layers.dense import DenseLayer
from engine.layers.dropout import dropped
from engine.layers.join import Join
from engine.layers.neighbours import AGGREGATES
from engine.layers.operand import Activation, Dropout
from engine.live import Sites
from engine.topology import Topology


class SAGELayer(nn.Module):
    """One layer: [N, inputs] → [N, outputs]; with fp32 it equals PyG's SAGEConv.

    ``aggregate``: "mean", "max" or "sum"; ``batch_norm``: after the update site.
    """

    def __init__(
        self, inputs: int, outputs: int, *, aggregate: str = "mean", bias: bool = True, batch_norm: bool = False
    ) -> None:
        super().__init__()
        self.aggregate = aggregate
        self.neighbours = DenseLayer(inputs, outputs, bias=bias)
        self.root = DenseLayer(inputs, outputs, bias=False)
        self.norm = BatchNorm(outputs) if batch_norm else None
        self.sites = Sites("message", "aggregate", "update", "gradient")

    def reset_parameters(self, generator: torch.Generator) -> None:
        self.neighbours.reset_parameters(generator)
        self.root.reset_parameters(generator)
        if self.norm is not None:
            self.norm.reset_parameters()

    def batch_norms(self) -> list[tuple[tuple[str, ...], str]]:
        """For engine.folding: it normalizes the sum of both linear layers."""
        return [(("neighbours", "root"), "norm")] if self.norm is not None else []

    def forward(self, x: Activation, topology: Topology, dropout: Dropout | None = None) -> Tensor:
        sites = self.sites
        message = sites(x, "message", "aggregate", rows="nodes")
        if self.aggregate != "max":
            sites.summed(message, topology.plain)
        message = dropped(message, dropout)
        total = AGGREGATES[self.aggregate](message, x, topology.plain)
        if isinstance(total, Tensor):
            total = sites.gradient(total)
        total = sites(total, "aggregate", "aggregate", rows="nodes")
        out = self.neighbours(total) + self.root(x, topology, dropout)
        out = sites(out, "update", "forward", rows="nodes")
        return out if self.norm is None else self.norm(out)

    def join(self, topology: Topology) -> Join:
        factor = topology.plain.inverse_degree if self.aggregate == "mean" else None
        return Join(topology.plain, how="max" if self.aggregate == "max" else "sum", factor=factor)

    def extra_repr(self) -> str:
        return f"aggregate={self.aggregate!r}"
