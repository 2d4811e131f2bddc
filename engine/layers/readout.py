"""From node rows to one row a graph: a pool, then linear layers with ReLU and dropout between them."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from engine.layers.dense import DenseLayer
from engine.layers.operand import Activation, Constant, Dropout
from engine.live import Sites
from engine.topology import Topology

POOLS = ("mean", "sum", "max")


class Readout(nn.Module):
    """[N, inputs] → [graphs, classes]: the pool of each graph's nodes, then ``layers`` linear layers.

    A topology without ``graph`` is one graph. Dropout falls on the last linear layer's quantized input, as in
    [DQ]'s REDDIT-BINARY model. Graphs have no degree: nothing here is protected, or quantized by degree.
    """

    def __init__(self, inputs: int, classes: int, *, pool: str = "mean", layers: int = 2) -> None:
        super().__init__()
        self.pool = pool
        self.sites = Sites("gradient", of="graphs")
        widths = [inputs] * layers + [classes]
        self.linears = nn.ModuleList(DenseLayer(*pair, of="graphs") for pair in pairwise(widths))

    def reset_parameters(self, generator: torch.Generator) -> None:
        for layer in self.linears:
            layer.reset_parameters(generator)  # pyright: ignore[reportCallIssue]

    def forward(self, x: Activation, topology: Topology, dropout: Dropout | None = None) -> Tensor:
        nodes = x.dense() if isinstance(x, Constant) else x
        out = pooled(nodes, topology.graph, self.pool)
        *inner, last = self.linears
        for layer in inner:
            out = torch.relu(layer(out))
        return last(out, topology, dropout)

    def extra_repr(self) -> str:
        return f"pool={self.pool!r}"


def pooled(x: Tensor, graph: Tensor | None, pool: str) -> Tensor:
    """The sum, mean or greatest of each graph's rows: [N, F], graph [N] ascending (None: one graph) → [graphs, F]."""
    if graph is None:
        graph = torch.zeros(x.shape[0], dtype=torch.int64, device=x.device)
    lengths = torch.bincount(graph)
    # The rows of a batch's graphs lie one after the other: each graph is a segment, summed in its own order.
    return torch.segment_reduce(x, pool, lengths=lengths, axis=0)
