"""The graph convolution equals PyG's own in fp32, and quantizes at the sites that it names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch_geometric.nn import DeepGCNLayer, GCNConv

from engine.formats import get_format
from engine.layers.gcn import GCNLayer
from engine.layers.stack import Stack
from engine.topology import Topology
from tests.engine.layers.graphs import ALL_PROTECTED, GRAPHS, assert_equal_to_reference, attach, features, load


def make(**options) -> GCNLayer:
    layer = GCNLayer(6, 3, **options)
    layer.reset_parameters(torch.Generator().manual_seed(0))
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.copy_(torch.tensor([0.5, -1.0, 2.0]))
    return layer


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("message", ["node", "edge"])
def test_fp32_equals_pygs_layer_forward_and_backward(name: str, bias: bool, message: str):
    layer = make(bias=bias, message=message)
    reference: Any = GCNConv(6, 3, bias=bias)
    pairs = [(layer.weight, reference.lin.weight)]
    if layer.bias is not None:
        pairs.append((layer.bias, reference.bias))
    assert_equal_to_reference(layer, reference, pairs, name)


@pytest.mark.parametrize("name", GRAPHS)
def test_messages_made_an_edge_give_the_nodes_sum(name: str):
    edge_index, nodes = load(name)
    topology = Topology(edge_index, nodes)
    layer = make(message="edge")
    found = []
    for scheme in ("fp32", f"{ALL_PROTECTED}:message"):
        attach(layer, scheme, topology)
        assert layer.sites.covers("message", "aggregate") == (scheme != "fp32")
        x = features(nodes).requires_grad_()
        out = layer(x, topology)
        out.square().sum().backward()
        found.append((out, x.grad))
    torch.testing.assert_close(found[1], found[0])


def test_a_message_an_edge_is_quantized_after_its_norm():
    topology = Topology(torch.tensor([[0, 0, 1], [1, 2, 2]]), 3)
    layer = make(message="edge", bias=False)
    attach(layer, "qat-int4:message")
    x = features(3)
    adjacency = topology.looped
    sent = adjacency.edge_norm * (x @ layer.weight.t())[adjacency.sources]
    hat = get_format("int4").fake_quantize(sent, axis=-1)
    expected = torch.zeros(3, 3).index_add(0, adjacency.targets, hat)
    torch.testing.assert_close(layer(x, topology), expected)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_and_residual_equal_pygs_deep_layer(training: bool):
    edge_index, nodes = load("path")
    layer = GCNLayer(6, 6, batch_norm=True)
    last = GCNLayer(6, 2)
    stack = Stack([layer, last], dropout=0.0, residual=True)
    stack.reset_parameters(0)
    reference: Any = DeepGCNLayer(GCNConv(6, 6), nn.BatchNorm1d(6), nn.ReLU(), block="res")
    head: Any = GCNConv(6, 2)
    for ours, theirs in ((layer, reference.conv), (last, head)):
        with torch.no_grad():
            theirs.lin.weight.copy_(ours.weight)
    stack.train(training)
    reference.train(training)
    x = features(nodes)
    out, expected = stack(x, Topology(edge_index, nodes)), head(reference(x, edge_index), edge_index)
    torch.testing.assert_close(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(layer.weight.grad, reference.conv.lin.weight.grad)
    assert layer.norm is not None
    torch.testing.assert_close(layer.norm.weight.grad, reference.norm.weight.grad)
    torch.testing.assert_close(layer.norm.running_var, reference.norm.running_var)


def test_each_site_quantizes_its_own_tensor():
    edge_index, nodes = load("path")
    topology = Topology(edge_index, nodes)
    layer = make()
    x = features(nodes)

    def out(scheme: str) -> torch.Tensor:
        attach(layer, scheme)
        return layer(x, topology)

    plain = out("fp32")
    for site in ("input", "weight", "feature", "aggregate"):
        assert not torch.equal(out(f"int3:{site}"), plain), site
    for site in ("message", "update"):
        assert not torch.equal(out(f"qat-int3:{site}"), plain), site
    assert torch.equal(out("int3:gradient"), plain)


def test_the_aggregate_lies_on_the_formats_grid():
    edge_index, nodes = load("path")
    layer = make(bias=False)
    attach(layer, "int2:aggregate")
    out = layer(features(nodes), Topology(edge_index, nodes))
    assert len(out.unique()) <= 4
