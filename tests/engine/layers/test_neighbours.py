"""Aggregates of constants: equal to those of tensors, sparse where they are sparse, kept where nothing changes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.kernels.sparse import SparseOperand
from engine.layers.gin import GINLayer
from engine.layers.neighbours import AGGREGATES, add_own, sum_neighbours
from engine.layers.operand import Constant, Dropout
from engine.layers.sage import SAGELayer
from engine.randomness import make_key
from engine.topology import Topology
from tests.engine.layers.graphs import attach

NODES = 40
DROPOUT = Dropout(0.5, make_key(2, 0, 1))


def sparse_features(share: float = 0.02) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(NODES, 200, generator=generator)
    return x * (torch.rand(NODES, 200, generator=generator) < share)


def topology() -> Topology:
    return Topology(torch.randint(NODES, (2, 60), generator=torch.Generator().manual_seed(3)), NODES)


def layer_of(kind: str) -> Any:
    layers = {
        "gin": lambda: GINLayer(200, 5, eps=0.5),
        "gin with a learned eps": lambda: GINLayer(200, 5, train_eps=True),
        "sage mean": lambda: SAGELayer(200, 5),
        "sage max": lambda: SAGELayer(200, 5, aggregate="max"),
    }
    layer = layers[kind]()
    layer.reset_parameters(torch.Generator().manual_seed(0))
    return layer


@pytest.mark.parametrize("name", AGGREGATES)
@pytest.mark.parametrize("share", [0.02, 0.12, 0.5])
def test_a_constant_gives_the_tensors_aggregate(name: str, share: float):
    """2 %: the sum stays sparse; 12 %: the sum is dense; 50 %: the constant itself is."""
    x, adjacency = sparse_features(share), topology().plain
    constant = Constant.of(x)
    found = AGGREGATES[name](constant, constant, adjacency)
    assert isinstance(found, Constant)
    assert isinstance(found.operand, SparseOperand) == (share == 0.02)
    torch.testing.assert_close(found.dense(), AGGREGATES[name](x, x, adjacency))
    assert AGGREGATES[name](constant, constant, adjacency) is found


@pytest.mark.parametrize("kind", ["gin", "gin with a learned eps", "sage mean", "sage max"])
@pytest.mark.parametrize("scheme", ["fp32", "int8", "qat-int8(range=ema)", "dq-int4", "msfp13"])
@pytest.mark.parametrize("dropout", [None, DROPOUT])
def test_a_layer_of_a_sparse_constant_gives_what_a_tensor_gives(kind: str, scheme: str, dropout: Dropout | None):
    graph, x = topology(), sparse_features()
    found = []
    for enters in (Constant.of(x), x):
        layer = layer_of(kind)
        attach(layer, scheme, graph)
        out = layer(enters, graph, dropout)
        out.square().sum().backward()
        found.append((out, [parameter.grad for parameter in layer.parameters()]))
    torch.testing.assert_close(found[0], found[1])


def test_what_stays_the_same_is_kept_whole_and_the_places_always():
    graph, constant = topology(), Constant.of(sparse_features())
    layer = layer_of("gin")
    sums = []
    for scheme, dropout in (("qat-int8(range=min-max)", None), ("qat-int8(range=ema)", None), ("fp32", DROPOUT)):
        attach(layer, scheme, graph)
        for _ in range(3):
            layer(constant, graph, dropout)
        sums.append(len([key for key in constant._kept if isinstance(key, tuple) and key[0] == "places"]))
    assert sums == [1, 1, 1]
    message = layer.sites(constant, "message", "aggregate", rows="nodes")
    total = sum_neighbours(message, constant, graph.plain, own=True)
    again = add_own(total, constant, 1.5, constant, graph.plain)
    assert add_own(total, constant, 1.5, constant, graph.plain) is again
    assert isinstance(again, Constant)
    assert isinstance(again.operand, SparseOperand)
