"""The readout equals PyG's pools and linear layers, for a batch and for one graph."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import global_add_pool, global_max_pool, global_mean_pool

from engine.layers.readout import POOLS, Readout, pooled
from engine.topology import Topology
from tests.engine.layers.graphs import attach, features

PYG = {"mean": global_mean_pool, "sum": global_add_pool, "max": global_max_pool}
GRAPH = torch.tensor([0, 0, 0, 1, 2, 2])


@pytest.mark.parametrize("pool", POOLS)
def test_the_pool_equals_pygs_both_ways(pool: str):
    x, y = features(6).requires_grad_(), features(6).requires_grad_()
    out, expected = pooled(x, GRAPH, pool), PYG[pool](y, GRAPH)
    torch.testing.assert_close(out, expected)
    out.square().sum().backward()
    expected.square().sum().backward()
    torch.testing.assert_close(x.grad, y.grad)


def test_a_topology_without_graphs_is_one_graph():
    x = features(6)
    assert torch.equal(pooled(x, None, "sum"), pooled(x, torch.zeros(6, dtype=torch.int64), "sum"))


def test_graphs_are_neither_protected_nor_bucketed():
    topology = Topology(torch.tensor([[0, 1], [1, 0]]), 6, GRAPH)
    readout = Readout(6, 2)
    readout.reset_parameters(torch.Generator().manual_seed(0))
    plain = readout(features(6), topology)
    attach(readout, "dq-int4(p_min=1,p_max=1)", topology)
    out = readout(features(6), topology)
    assert out.shape == (3, 2)
    assert not torch.equal(out, plain)
