"""GraphSAGE equals PyG's own in fp32, and a constant input gives what a tensor gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch_geometric.nn import SAGEConv

from engine.layers.sage import SAGELayer
from engine.topology import Topology
from tests.engine.layers.graphs import GRAPHS, assert_equal_to_reference, attach, features, load


def make(**options) -> SAGELayer:
    layer = SAGELayer(6, 3, **options)
    layer.reset_parameters(torch.Generator().manual_seed(0))
    return layer


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("aggregate", ["mean", "max", "sum"])
@pytest.mark.parametrize("bias", [True, False])
def test_fp32_equals_pygs_layer_forward_and_backward(name: str, aggregate: str, bias: bool):
    layer = make(aggregate=aggregate, bias=bias)
    reference: Any = SAGEConv(6, 3, aggr=aggregate, bias=bias)
    pairs = [(layer.neighbours.weight, reference.lin_l.weight), (layer.root.weight, reference.lin_r.weight)]
    if layer.neighbours.bias is not None:
        pairs.append((layer.neighbours.bias, reference.lin_l.bias))
    assert_equal_to_reference(layer, reference, pairs, name)


def test_each_site_quantizes_its_own_tensor():
    edge_index, nodes = load("path")
    topology = Topology(edge_index, nodes)
    layer = make()
    x = features(nodes)

    def out(scheme: str) -> torch.Tensor:
        attach(layer, scheme)
        return layer(x, topology)

    plain = out("fp32")
    for site in ("input", "weight", "feature", "message", "aggregate", "update"):
        assert not torch.equal(out(f"qat-int3:{site}"), plain), site
    assert torch.equal(out("int3:gradient"), plain)
