"""The graph convolution equals PyG's own in fp32, and quantizes at the sites that it names."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import GCNConv

from engine.layers.gcn import GCNLayer
from engine.live import LiveScheme
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


def features(nodes: int) -> torch.Tensor:
    return torch.randn(nodes, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("bias", [True, False])
def test_fp32_equals_pygs_layer_forward_and_backward(name: str, bias: bool):
    edges, nodes = GRAPHS[name]
    edge_index = torch.tensor(edges, dtype=torch.int64)
    layer, reference = GCNLayer(6, 3, bias=bias), GCNConv(6, 3, bias=bias)
    layer.reset_parameters(torch.Generator().manual_seed(0))
    with torch.no_grad():
        reference.lin.weight.copy_(layer.weight)
        if layer.bias is not None:
            layer.bias.copy_(torch.tensor([0.5, -1.0, 2.0]))
            reference.bias.copy_(layer.bias)
    x, y = features(nodes).requires_grad_(), features(nodes).requires_grad_()
    ours = layer(x, Topology(edge_index, nodes))
    theirs = reference(y, edge_index)
    torch.testing.assert_close(ours, theirs)
    weights = torch.arange(ours.numel(), dtype=torch.float32).reshape(ours.shape)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    torch.testing.assert_close(x.grad, y.grad)
    torch.testing.assert_close(layer.weight.grad, reference.lin.weight.grad)
    if layer.bias is not None:
        torch.testing.assert_close(layer.bias.grad, reference.bias.grad)


def test_each_site_quantizes_its_own_tensor():
    edges, nodes = GRAPHS["path"]
    topology = Topology(torch.tensor(edges), nodes)
    layer = GCNLayer(6, 3)
    layer.reset_parameters(torch.Generator().manual_seed(0))
    x = features(nodes)

    def out(scheme: str) -> torch.Tensor:
        layer.sites.attach(LiveScheme(parse_scheme(scheme)), 0, "")
        return layer(x, topology)

    plain = out("fp32")
    for site in ("input", "weight", "feature", "aggregate"):
        assert not torch.equal(out(f"int3:{site}"), plain), site
    assert torch.equal(out("int3:gradient"), plain)


def test_the_aggregate_lies_on_the_formats_grid():
    edges, nodes = GRAPHS["path"]
    layer = GCNLayer(6, 3, bias=False)
    layer.reset_parameters(torch.Generator().manual_seed(0))
    layer.sites.attach(LiveScheme(parse_scheme("int2:aggregate")), 0, "")
    out = layer(features(nodes), Topology(torch.tensor(edges), nodes))
    assert len(out.unique()) <= 4
