"""The isomorphism layer equals PyG's own in fp32, and protection may leave its MLP out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch_geometric.nn import GINConv

from engine.layers.gin import GINLayer
from engine.topology import Topology
from tests.engine.layers.graphs import GRAPHS, assert_equal_to_reference, attach, features, load


def make(**options) -> GINLayer:
    layer = GINLayer(6, 3, **options)
    layer.reset_parameters(torch.Generator().manual_seed(0))
    return layer


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("train_eps", [True, False])
def test_a_single_linear_equals_pygs_layer_forward_and_backward(name: str, train_eps: bool):
    layer: Any = make(eps=0.25, train_eps=train_eps)
    reference: Any = GINConv(nn.Linear(6, 3), eps=0.25, train_eps=train_eps)
    (first,) = layer.mlp.linears
    pairs = [(first.weight, reference.nn.weight), (first.bias, reference.nn.bias)]
    if layer.eps is not None:
        pairs.append((layer.eps, reference.eps))
    assert_equal_to_reference(layer, reference, pairs, name)


@pytest.mark.parametrize("name", [name for name in GRAPHS if name != "one node"])
def test_an_mlp_with_batch_norm_equals_pygs_layer(name: str):
    """[DQ]'s: linear, ReLU, linear, ReLU, batch norm."""
    layer: Any = make(mlp_layers=2, activate=True, batch_norm=True, train_eps=True)
    mlp = nn.Sequential(nn.Linear(6, 3), nn.ReLU(), nn.Linear(3, 3), nn.ReLU(), nn.BatchNorm1d(3))
    reference = GINConv(mlp, train_eps=True)
    first, second = layer.mlp.linears
    assert layer.mlp.norm is not None
    assert layer.eps is not None
    pairs = [
        (first.weight, mlp[0].weight),
        (first.bias, mlp[0].bias),
        (second.weight, mlp[2].weight),
        (second.bias, mlp[2].bias),
        (layer.mlp.norm.weight, mlp[4].weight),
        (layer.mlp.norm.bias, mlp[4].bias),
        (layer.eps, reference.eps),
    ]
    assert_equal_to_reference(layer, reference, pairs, name)
    torch.testing.assert_close(layer.mlp.norm.running_mean, mlp[4].running_mean)
    torch.testing.assert_close(layer.mlp.norm.running_var, mlp[4].running_var)


def test_batch_norm_of_one_node_takes_the_running_statistics():
    layer = make(activate=True, batch_norm=True)
    edge_index, nodes = load("one node")
    training = layer(features(nodes), Topology(edge_index, nodes))
    layer.eval()
    assert torch.equal(layer(features(nodes), Topology(edge_index, nodes)), training)


def test_each_site_quantizes_its_own_tensor():
    edge_index, nodes = load("path")
    topology = Topology(edge_index, nodes)
    layer = make(mlp_layers=2)
    x = features(nodes)

    def out(scheme: str) -> torch.Tensor:
        attach(layer, scheme)
        return layer(x, topology)

    plain = out("fp32")
    for site in ("input", "weight", "feature", "message", "aggregate", "update"):
        assert not torch.equal(out(f"qat-int3:{site}"), plain), site
    assert torch.equal(out("int3:gradient"), plain)


@pytest.mark.parametrize("masked", [True, False])
def test_protection_reaches_the_mlp_unless_it_is_left_out(masked: bool):
    edge_index, nodes = load("path")
    topology = Topology(edge_index, nodes)
    layer = make()
    x = features(nodes)
    option = "true" if masked else "false"
    # Everybody is protected; weights never are.
    live = attach(layer, f"dq-int2(p_min=1,p_max=1,gin_mlp_masked={option}):input,feature,message,aggregate,update")
    plain_layer = make()
    live.train()
    live.begin(topology)
    assert torch.equal(layer(x, topology), plain_layer(x, topology)) == masked
