"""Batches of graphs: the structure of their edges alone, hashed orders, the same figures in any parting."""

from __future__ import annotations

from typing import cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from engine.graph import Graph
from engine.graph_batches import BatchTopology, GraphBatches, GraphSet
from engine.kernels.aggregate import Adjacency
from engine.kernels.sparse import SparseOperand
from engine.layers.operand import Constant
from engine.layers.stack import Stack
from engine.metrics import accuracy, cross_entropy
from engine.models import MODELS
from engine.problem import Batch, Measure
from engine.splits import random_split
from engine.topology import Topology
from tests.engine.sets import graph_set, part

CPU = torch.device("cpu")
MEASURE = Measure("accuracy", "%", True, cross_entropy, accuracy)


def assert_same(found: Adjacency, expected: Adjacency) -> None:
    for name in ("incoming", "outgoing"):
        ours, theirs = getattr(found, name), getattr(expected, name)
        assert torch.equal(ours.starts, theirs.starts)
        assert torch.equal(ours.columns, theirs.columns)
        assert torch.equal(ours.edges, theirs.edges)
    assert torch.equal(found.inverse_sqrt_degree, expected.inverse_sqrt_degree)


@given(st.integers(0, 1000), st.lists(st.integers(0, 7), min_size=1, max_size=8, unique=True))
def test_a_batch_is_the_structure_of_its_graphs_edges(seed: int, numbers: list[int]):
    graph = graph_set(graphs=8, seed=seed)
    x, found = GraphSet(graph, CPU).take(torch.tensor(numbers))
    parts = [part(graph, number) for number in numbers]
    sizes = torch.tensor([len(rows) for rows, _ in parts])
    before = sizes.cumsum(0) - sizes
    edges = torch.cat([edges + offset for (_, edges), offset in zip(parts, before, strict=True)], dim=1)
    owner = torch.repeat_interleave(torch.arange(len(numbers)), sizes)
    expected = Topology(edges, int(sizes.sum()), owner)
    assert torch.equal(x if isinstance(x, torch.Tensor) else x.dense(), torch.cat([rows for rows, _ in parts]))
    assert_same(found.plain, expected.plain)
    assert_same(found.looped, expected.looped)
    assert torch.equal(found.graph, owner)
    assert torch.equal(found.in_degree, expected.in_degree)
    assert torch.equal(found.degree_rank, expected.degree_rank)
    assert found.degree_counts == expected.degree_counts
    assert torch.equal(found.edge_index.sort().values, expected.edge_index.sort().values)


def test_sparse_features_stay_sparse():
    graph = graph_set()
    sparse = torch.zeros(graph.size.nodes, 20)
    sparse[torch.arange(graph.size.nodes), torch.arange(graph.size.nodes) % 20] = 1
    changed = Graph(sparse, graph.edge_index, graph.y, graph.graph, {}, graph.size, {})
    x, topology = GraphSet(changed, CPU).take(torch.tensor([3, 1]))
    assert isinstance(x, Constant)
    assert isinstance(x.operand, SparseOperand)
    assert torch.equal(x.dense(), sparse[topology.rows])


def batches(graph: Graph, batch_size: int = 5, seed: int = 0) -> GraphBatches:
    masks = random_split(graph.size.graphs, 0.2, 0.2, seed=0)
    return GraphBatches(graph, CPU, masks, MEASURE, seed=seed, batch_size=batch_size)


def test_an_epoch_holds_each_training_graph_once_in_an_order_of_its_own():
    graph = graph_set()
    problem = batches(graph)

    def order(problem: GraphBatches, epoch: int) -> list[float]:
        return [row for batch in problem.batches(epoch) for row in cast(Tensor, batch.x)[:, 2].tolist()]

    assert sorted(order(problem, 1)) == sorted(order(problem, 2))
    assert order(problem, 1) != order(problem, 2)
    assert order(problem, 1) == order(batches(graph), 1)
    assert order(problem, 1) != order(batches(graph, seed=1), 1)
    assert problem.size.graphs == int(problem.masks["train"].sum())
    assert problem.size.batches == len(list(problem.batches(1)))
    assert problem.size.nodes == len(order(problem, 1))
    assert problem.size.edges == sum(batch.topology.plain.sources.numel() for batch in problem.batches(1))


@pytest.mark.parametrize("name", list(MODELS))
def test_fp32_evaluation_does_not_depend_on_how_graphs_are_batched(name: str):
    graph = graph_set()
    entry = MODELS[name]
    options = {"readout": "mean"} | ({"batch_norm": True} if "batch_norm" in entry.spec.model_fields else {})
    model = entry.build(entry.spec.model_validate({"name": name, **options}), graph.size)
    cast(Stack, model).reset_parameters(0)
    # Running statistics of its own, so that the normalization is not the identity.
    model.train()
    for batch in batches(graph).batches(1):
        model(batch.x, batch.topology, seed=0, step=1)
    model.eval()
    with torch.no_grad():
        found = [batches(graph, batch_size).evaluate(model) for batch_size in (1, 5, 0)]
    for losses, scores in found[1:]:
        assert losses == pytest.approx(found[0][0], rel=1e-5)
        assert scores == found[0][1]


def rows_of(batch: Batch) -> Tensor:
    assert isinstance(batch.topology, BatchTopology)
    return batch.topology.rows


def test_targets_by_node_train_on_whole_graphs_and_never_see_the_others():
    base = graph_set()
    assert base.graph is not None
    y = base.graph % 3
    by_graph = random_split(base.size.graphs, 0.2, 0.2, seed=0)
    masks = {split: mask[base.graph] for split, mask in by_graph.items()}
    graph = Graph(base.x, base.edge_index, y, base.graph, masks, base.size, {})
    problem = GraphBatches(graph, CPU, masks, MEASURE, seed=0, batch_size=4, by_node=True)
    seen = torch.cat([rows_of(batch) for batch in problem.batches(1)])
    assert torch.equal(seen.sort().values, masks["train"].nonzero().squeeze(1))
    for batch in problem.batches(1):
        assert batch.select is not None
        assert torch.equal(batch.target, y[rows_of(batch)[batch.select]])
        assert batch.weight == batch.target.numel()


def test_a_batch_weighs_what_its_known_labels_are():
    y = torch.ones(24, 2)
    y[:, 1] = torch.nan
    graph = graph_set(y)
    masks = random_split(24, 0.2, 0.2, seed=0)
    problem = GraphBatches(graph, CPU, masks, MEASURE, seed=0, batch_size=4)
    assert [batch.weight for batch in problem.batches(1)] == [4, 4, 4, 2]
