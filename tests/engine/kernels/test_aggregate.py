"""The aggregates: equal to the dense product, forward and backward, whatever the graph."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.aggregate import Adjacency, aggregate, weighted_aggregate
from tests.engine.kernels.graphs import graphs, normal


def dense(edge_index: torch.Tensor, nodes: int) -> torch.Tensor:
    """A[i, j] = number of edges j→i, self-loops replaced by one each."""
    matrix = torch.zeros(nodes, nodes)
    for source, target in edge_index.t().tolist():
        if source != target:
            matrix[target, source] += 1
    return matrix + torch.eye(nodes)


@given(graphs(), st.integers(1, 9))
def test_it_equals_the_dense_product_both_ways(graph, width: int):
    edge_index, nodes = graph
    adjacency = Adjacency.from_edges(edge_index, nodes)
    matrix = dense(edge_index, nodes)
    x = torch.arange(nodes * width, dtype=torch.float32).reshape(nodes, width).requires_grad_()
    out = aggregate(x, adjacency)
    # Small whole numbers: float32 sums are exact, whatever their order.
    assert torch.equal(out, matrix @ x)
    gradient = torch.arange(out.numel(), dtype=torch.float32).reshape(out.shape) - 7
    out.backward(gradient)
    assert x.grad is not None
    assert torch.equal(x.grad, matrix.t() @ gradient)


@given(graphs())
def test_the_degree_counts_incoming_edges_and_the_self_loop(graph):
    edge_index, nodes = graph
    adjacency = Adjacency.from_edges(edge_index, nodes)
    expected = dense(edge_index, nodes).sum(1, keepdim=True).pow(-0.5)
    assert torch.equal(adjacency.inverse_sqrt_degree, expected)


@given(graphs())
def test_without_loops_the_edges_stay_as_they_are(graph):
    edge_index, nodes = graph
    adjacency = Adjacency.from_edges(edge_index, nodes, loops=False)
    found = sorted(zip(adjacency.sources.tolist(), adjacency.targets.tolist(), strict=True))
    assert found == sorted(map(tuple, edge_index.t().tolist()))
    degree = torch.bincount(edge_index[1], minlength=nodes).clamp(min=1)
    torch.testing.assert_close(adjacency.inverse_degree.squeeze(1) * degree, torch.ones(nodes))


@given(graphs(), st.booleans())
def test_both_directions_number_the_same_edges(graph, loops: bool):
    edge_index, nodes = graph
    adjacency = Adjacency.from_edges(edge_index, nodes, loops=loops)
    outgoing = adjacency.outgoing
    counts = outgoing.starts[1:] - outgoing.starts[:-1]
    rows = torch.repeat_interleave(torch.arange(nodes), counts)
    assert torch.equal(adjacency.sources[outgoing.edges], rows)
    assert torch.equal(adjacency.targets[outgoing.edges], outgoing.columns)
    assert torch.equal(outgoing.edges.sort().values, torch.arange(rows.numel()))


@given(graphs(), st.integers(1, 3), st.integers(1, 7), st.booleans())
def test_the_weighted_sum_equals_scattered_messages_both_ways(graph, heads: int, width: int, loops: bool):
    edge_index, nodes = graph
    adjacency = Adjacency.from_edges(edge_index, nodes, loops=loops)
    source, target = adjacency.sources, adjacency.targets
    weights = normal(source.numel(), heads).requires_grad_()
    x = normal(nodes, heads * width, seed=1).requires_grad_()
    out = weighted_aggregate(weights, x, adjacency)
    messages = weights.unsqueeze(-1) * x.view(nodes, heads, width)[source]
    expected = torch.zeros(nodes, heads * width, dtype=x.dtype).index_add(0, target, messages.flatten(1))
    torch.testing.assert_close(out, expected)
    gradient = normal(*out.shape, seed=2)
    found = torch.autograd.grad(out, (weights, x), gradient)
    torch.testing.assert_close(found, torch.autograd.grad(expected, (weights, x), gradient, materialize_grads=True))


def test_the_weighted_sums_gradient_is_the_numerical_one():
    adjacency = Adjacency.from_edges(torch.tensor([[0, 0, 2, 2, 1], [1, 1, 0, 2, 3]]), 5)
    weights = normal(adjacency.sources.numel(), 2).requires_grad_()
    x = normal(5, 6, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda w, x: weighted_aggregate(w, x, adjacency), (weights, x))


def test_a_transposed_view_is_read_right():
    adjacency = Adjacency.from_edges(torch.tensor([[0, 1], [1, 2]]), 3)
    x = torch.arange(6.0).reshape(2, 3).t()
    assert torch.equal(aggregate(x, adjacency), dense(torch.tensor([[0, 1], [1, 2]]), 3) @ x)


def test_a_weighted_sum_keeps_for_each_gradient_what_it_reads_and_no_more():
    adjacency = Adjacency.from_edges(torch.tensor([[0, 1, 2], [1, 2, 0]]), 3, loops=False)
    weights, x = torch.ones(3, 1), torch.ones(3, 5)
    kept = {
        learned: weighted_aggregate(
            weights.clone().requires_grad_("weights" in learned), x.clone().requires_grad_("x" in learned), adjacency
        ).grad_fn.saved_tensors  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
        for learned in ("x", "weights", "weights and x")
    }
    shapes = {
        learned: [None if each is None else tuple(each.shape) for each in found] for learned, found in kept.items()
    }
    assert shapes == {"x": [(3, 1), None], "weights": [None, (3, 5)], "weights and x": [(3, 1), (3, 5)]}
