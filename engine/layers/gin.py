"""The graph isomorphism layer of Xu et al., an MLP over the sum of neighbours, with a site at every tensor.

m_j = fq_message(x_j)                      once a node
a_i = fq_aggregate(Σ_j m_j over edges j→i)
z_i = (1+ε)·x_i + a_i                      the input site of the MLP's first linear layer
y_i = fq_update(MLP(z_i))                  each linear layer has its own input, weight, feature and gradient

Dropout falls on x and, with the same mask, on the quantized message. Where protection leaves GIN's MLP
out (``gin_mlp_masked=False``), z and what follows inside the MLP are quantized for every node.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from engine.layers.batch_norm import BatchNorm
from engine.layers.dense import DenseLayer
from engine.layers.dropout import dropped
from engine.layers.join import Join
from engine.layers.neighbours import add_own, sum_neighbours
from engine.layers.operand import Activation, Dropout
from engine.live import Sites
from engine.topology import Topology


class MLP(nn.Module):
    """Linear layers with ReLU between them; ``activate``: and after the last one; ``batch_norm``: at the very end."""

    def __init__(self, widths: list[int], *, activate: bool, batch_norm: bool) -> None:
        super().__init__()
        self.linears = nn.ModuleList(DenseLayer(*pair, of="mlp") for pair in pairwise(widths))
        self.activate = activate
        self.norm = BatchNorm(widths[-1]) if batch_norm else None

    def reset_parameters(self, generator: torch.Generator) -> None:
        for layer in self.linears:
            layer.reset_parameters(generator)  # pyright: ignore[reportCallIssue]
        if self.norm is not None:
            self.norm.reset_parameters()

    def batch_norms(self) -> list[tuple[tuple[str, ...], str]]:
        """For engine.folding: after a ReLU there is no linear layer to fold it into."""
        if self.norm is None or self.activate:
            return []
        return [((f"linears.{len(self.linears) - 1}",), "norm")]

    def forward(self, x: Activation) -> Tensor:
        first, *others = self.linears
        out = first(x)
        for layer in others:
            out = layer(torch.relu(out))
        if self.activate:
            out = torch.relu(out)
        return out if self.norm is None else self.norm(out)


class GINLayer(nn.Module):
    """One isomorphism layer: [N, inputs] → [N, outputs]; with fp32 it equals PyG's GINConv over the same MLP.

    ``mlp_layers`` linear layers, the inner widths ``outputs``; ``train_eps``: ε is learned from ``eps`` on.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        *,
        hidden: int | None = None,
        mlp_layers: int = 1,
        activate: bool = False,
        batch_norm: bool = False,
        eps: float = 0.0,
        train_eps: bool = False,
    ) -> None:
        super().__init__()
        inner = [hidden or outputs] * (mlp_layers - 1)
        self.mlp = MLP([inputs, *inner, outputs], activate=activate, batch_norm=batch_norm)
        self.initial_eps = eps
        self.eps = nn.Parameter(torch.tensor([eps])) if train_eps else None
        self.sites = Sites("message", "aggregate", "update", "gradient")

    def reset_parameters(self, generator: torch.Generator) -> None:
        self.mlp.reset_parameters(generator)
        if self.eps is not None:
            with torch.no_grad():
                self.eps.fill_(self.initial_eps)

    def forward(self, x: Activation, topology: Topology, dropout: Dropout | None = None) -> Tensor:
        sites, adjacency = self.sites, topology.plain
        own = dropped(x, dropout)
        message = own
        if sites.covers("message", "aggregate"):
            message = sites(x, "message", "aggregate", rows="nodes")
            sites.summed(message, adjacency)
            message = dropped(message, dropout)
        total = sum_neighbours(message, x, adjacency, own=True)
        if isinstance(total, Tensor):
            total = sites.gradient(total)
        total = sites(total, "aggregate", "aggregate", rows="nodes")
        scale = 1 + (self.initial_eps if self.eps is None else self.eps)
        out = self.mlp(add_own(total, own, scale, x, adjacency))
        return sites(out, "update", "forward", rows="nodes")

    def join(self, topology: Topology) -> Join:
        return Join(topology.plain)

    def extra_repr(self) -> str:
        return f"eps={self.initial_eps}, train_eps={self.eps is not None}"
