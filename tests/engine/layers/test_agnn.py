"""Attention-based propagation equals PyG's own in fp32, and quantizes at the sites that it names."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import AGNNConv

from engine.layers.agnn import AGNNLayer
from engine.layers.operand import Constant
from engine.topology import Topology
from tests.engine.layers.graphs import GRAPHS, assert_equal_to_reference, attach, features, load


@pytest.mark.parametrize("name", GRAPHS)
def test_fp32_equals_pygs_layer_forward_and_backward(name: str):
    layer, reference = AGNNLayer(), AGNNConv()
    with torch.no_grad():
        layer.beta.fill_(1.5)
    assert_equal_to_reference(layer, reference, [(layer.beta, reference.beta)], name)


def test_a_fixed_temperature_has_no_gradient():
    assert not AGNNLayer(train_beta=False).beta.requires_grad


def test_a_constant_gives_what_a_tensor_gives():
    edge_index, nodes = load("path")
    topology, x = Topology(edge_index, nodes), features(nodes)
    assert torch.equal(AGNNLayer()(Constant.of(x), topology), AGNNLayer()(x, topology))


def test_each_site_quantizes_its_own_tensor():
    edge_index, nodes = load("path")
    topology = Topology(edge_index, nodes)
    layer = AGNNLayer()
    x = features(nodes)

    def out(scheme: str) -> torch.Tensor:
        attach(layer, scheme)
        return layer(x, topology)

    plain = out("fp32")
    for site in ("input", "message", "aggregate", "update", "score"):
        assert not torch.equal(out(f"qat-int3:{site}"), plain), site
