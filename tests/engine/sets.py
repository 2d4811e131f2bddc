"""Generated sets of graphs, for tests (synthetic)."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.datasets import GraphSize
from engine.graph import Graph


def graph_set(
    y: Tensor | None = None, *, graphs: int = 24, seed: int = 0, width: int = 6, masks: dict[str, Tensor] | None = None
) -> Graph:
    """Random graphs of 2 to 9 nodes. Without ``y``: the label of a graph is whether feature 0 or 1 is the larger."""
    generator = torch.Generator().manual_seed(seed)
    counts = torch.randint(2, 10, (graphs,), generator=generator)
    owner = torch.repeat_interleave(torch.arange(graphs), counts)
    first = (counts.cumsum(0) - counts)[owner]
    nodes = int(counts.sum())
    source = torch.arange(nodes).repeat(2)
    target = first.repeat(2) + (torch.rand(2 * nodes, generator=generator) * counts[owner].repeat(2)).long()
    edge_index = torch.stack([torch.cat([source, target]), torch.cat([target, source])])
    x = torch.randn(nodes, width, generator=generator)
    labels = torch.arange(graphs) % 2
    x[:, 0] += 2 * labels[owner]
    x[:, 1] += 2 * (1 - labels[owner])
    y = labels if y is None else y
    classes = y.shape[1] if y.dim() == 2 else int(y.max()) + 1
    size = GraphSize(nodes, edge_index.shape[1], width, classes, graphs=graphs)
    return Graph(x, edge_index, y, owner, masks or {}, size, {"dataset": "generated (synthetic)"})


def part(graph: Graph, number: int) -> tuple[Tensor, Tensor]:
    """x and edge_index of one graph alone."""
    assert graph.graph is not None
    rows = (graph.graph == number).nonzero().squeeze(1)
    inside = graph.graph[graph.edge_index[0]] == number
    return graph.x[rows], graph.edge_index[:, inside] - rows[0]
