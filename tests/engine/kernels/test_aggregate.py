"""The aggregate: equal to the dense product, forward and backward, whatever the graph."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.aggregate import Adjacency, aggregate


@st.composite
def graphs(draw):
    """Up to 12 nodes: isolated ones, self-loops and repeated edges included."""
    nodes = draw(st.integers(1, 12))
    node = st.integers(0, nodes - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=40))
    edge_index = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).t()
    return edge_index, nodes


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


def test_a_transposed_view_is_read_right():
    adjacency = Adjacency.from_edges(torch.tensor([[0, 1], [1, 2]]), 3)
    x = torch.arange(6.0).reshape(2, 3).t()
    assert torch.equal(aggregate(x, adjacency), dense(torch.tensor([[0, 1], [1, 2]]), 3) @ x)
