"""Small graphs on which a layer is compared with PyG's, and the comparison."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from engine.live import LiveScheme, Sites
from engine.scheme import parse_scheme
from engine.topology import Topology

GRAPHS = {
    "path": ([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]], 4),
    "isolated nodes": ([[0, 1], [1, 0]], 5),
    "self-loops": ([[0, 0, 1, 1, 2], [0, 1, 0, 1, 2]], 3),
    "repeated edges": ([[0, 0, 0, 1, 2], [1, 1, 2, 0, 0]], 3),
    "directed": ([[0, 0, 1, 3], [1, 2, 2, 0]], 4),
    "one node": ([[], []], 1),
}


def features(nodes: int, width: int = 6) -> Tensor:
    return torch.randn(nodes, width, generator=torch.Generator().manual_seed(1))


def load(name: str) -> tuple[Tensor, int]:
    """edge_index and the number of nodes."""
    edges, nodes = GRAPHS[name]
    return torch.tensor(edges, dtype=torch.int64), nodes


def assert_equal_to_reference(
    layer: nn.Module, reference: nn.Module, pairs: Sequence[tuple[Tensor, Tensor]], name: str
) -> None:
    """Outputs, and the gradients of the input and of each (ours, PyG's) parameter pair, to float tolerance.

    The pairs' values are copied from ours to PyG's first.
    """
    edge_index, nodes = load(name)
    with torch.no_grad():
        for ours, theirs in pairs:
            theirs.copy_(ours.reshape(theirs.shape))
    x, y = features(nodes).requires_grad_(), features(nodes).requires_grad_()
    out, expected = layer(x, Topology(edge_index, nodes)), reference(y, edge_index)
    torch.testing.assert_close(out, expected)
    weights = torch.arange(out.numel(), dtype=torch.float32).reshape(out.shape)
    (out * weights).sum().backward()
    (expected * weights).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    for ours, theirs in pairs:
        assert ours.grad is not None
        assert theirs.grad is not None
        torch.testing.assert_close(ours.grad, theirs.grad.reshape(ours.shape))


ALL_PROTECTED = "dq-int2(p_min=1,p_max=1)"
"""Quantizes nobody in training, by the paths that quantize."""


def attach(layer: nn.Module, scheme: str, topology: Topology | None = None) -> LiveScheme:
    """Bind a layer, children included, to a scheme as layer 0; a training step on ``topology`` begins."""
    live = LiveScheme(parse_scheme(scheme))
    live.begin(topology)
    for part, module in layer.named_modules():
        sites = getattr(module, "sites", None)
        if isinstance(sites, Sites):
            sites.attach(live, 0, part)
    return live


def declared(layer: nn.Module) -> set[str]:
    """Every site that a layer's modules declare."""
    modules = (getattr(module, "sites", None) for module in layer.modules())
    return {name for sites in modules if isinstance(sites, Sites) for name in sites.names}
