"""Graph attention equals PyG's own in fp32, and quantizes at the sites that it names."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch_geometric.nn import GATConv

from engine.layers.gat import GATLayer
from engine.layers.operand import Dropout
from engine.randomness import make_key
from engine.topology import Topology
from tests.engine.layers.graphs import ALL_PROTECTED, GRAPHS, assert_equal_to_reference, attach, features, load


def make(**options) -> GATLayer:
    layer = GATLayer(6, 5, **options)
    generator = torch.Generator().manual_seed(0)
    layer.reset_parameters(generator)
    if layer.bias is not None:
        with torch.no_grad():
            layer.bias.normal_(generator=generator)
    return layer


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize(
    "options",
    [{"heads": 3}, {"heads": 3, "concat": False}, {"bias": False}, {"heads": 2, "residual": True}, {"concat": False}],
    ids=str,
)
def test_fp32_equals_pygs_layer_forward_and_backward(name: str, options: dict):
    layer = make(**options)
    reference: Any = GATConv(6, 5, **options)
    attention = layer.attention.weight
    # PyG keeps the two vectors apart: copied here, and their gradients compared after.
    pairs = [(layer.weight, reference.lin.weight)]
    if layer.bias is not None:
        pairs.append((layer.bias, reference.bias))
    if layer.residual is not None:
        pairs.append((layer.residual.weight, reference.res.weight))
    with torch.no_grad():
        reference.att_src.copy_(attention[:1])
        reference.att_dst.copy_(attention[1:])
    assert_equal_to_reference(layer, reference, pairs, name)
    assert attention.grad is not None
    torch.testing.assert_close(attention.grad, torch.cat([reference.att_src.grad, reference.att_dst.grad]))


@pytest.mark.parametrize("name", GRAPHS)
def test_messages_made_an_edge_give_the_kernels_sum(name: str):
    edge_index, nodes = load(name)
    topology = Topology(edge_index, nodes)
    layer = make(heads=3)
    found = []
    for scheme in ("fp32", f"{ALL_PROTECTED}:message"):
        attach(layer, scheme, topology)
        assert layer.sites.covers("message", "aggregate") == (scheme != "fp32")
        x = features(nodes).requires_grad_()
        out = layer(x, topology)
        out.sum().backward()
        found.append((out, x.grad))
    torch.testing.assert_close(found[1], found[0])


def test_each_site_quantizes_its_own_tensor():
    edge_index, nodes = load("path")
    topology = Topology(edge_index, nodes)
    layer = make(heads=2)
    x = features(nodes)

    def out(scheme: str) -> torch.Tensor:
        attach(layer, scheme)
        return layer(x, topology)

    plain = out("fp32")
    for site in ("input", "weight", "feature", "message", "aggregate", "update", "score"):
        assert not torch.equal(out(f"qat-int3:{site}"), plain), site
    assert torch.equal(out("int3:gradient"), plain)


def test_the_attention_vectors_are_a_weight_of_their_own():
    layer = make(heads=2)
    live = attach(layer, "qat-int8:weight")
    assert sorted(live.quantizers) == ["0/attention/weight", "0/weight"]


def test_scores_and_messages_are_protected_by_their_source():
    """Node 0 is protected: its score and its message reach node 1 as they are, node 2's do not."""
    topology = Topology(torch.tensor([[0, 2], [1, 1]]), 3)
    layer = make(heads=2)
    live = attach(layer, "dq-int2(p_min=0,p_max=0)")
    live.train()
    live.begin(topology)
    live._masks[0] = torch.tensor([True, False, False])
    source = topology.looped.sources
    for site, width in (("score", 2), ("message", 10)):
        values = torch.randn(source.numel(), width, generator=torch.Generator().manual_seed(3))
        hat = layer.sites(values, site, "aggregate", rows=source)
        kept = (hat == values).all(1)
        assert torch.equal(kept, source == 0), site


def test_attention_is_dropped_after_its_site():
    edge_index, nodes = load("path")
    topology = Topology(edge_index, nodes)
    layer = make(bias=False)
    x = features(nodes)
    kept = layer(x, topology)
    half = layer(x, topology, None, Dropout(0.5, make_key(0, 0, 0)))
    assert not torch.equal(half, kept)
    # The mean over many masks is what no mask gives.
    mean = torch.stack([layer(x, topology, None, Dropout(0.5, make_key(0, 0, step))) for step in range(4000)]).mean(0)
    torch.testing.assert_close(mean, kept, rtol=0, atol=0.1)
