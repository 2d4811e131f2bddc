"""Tensors with a row an edge: equal to plain indexing and scattering, forward and backward."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.aggregate import Adjacency, weighted_aggregate
from engine.kernels.attention import edge_softmax
from engine.kernels.edges import dot_edges, gather_sources, gather_targets, sum_edges
from engine.kernels.extremum import max_aggregate
from tests.engine.kernels.graphs import graphs, normal


def scattered_softmax(scores: torch.Tensor, adjacency: Adjacency) -> torch.Tensor:
    out = torch.zeros_like(scores)
    for node in range(adjacency.nodes):
        rows = (adjacency.targets == node).nonzero().squeeze(1)
        out = out.index_copy(0, rows, torch.softmax(scores[rows], 0))
    return out


def scattered_max(x: torch.Tensor, adjacency: Adjacency) -> torch.Tensor:
    rows = []
    for node in range(adjacency.nodes):
        messages = x[adjacency.sources[adjacency.targets == node]]
        rows.append(messages.amax(0) if len(messages) else x.new_zeros(x.shape[1]))
    return torch.stack(rows)


def scattered_sum(values: torch.Tensor, adjacency: Adjacency) -> torch.Tensor:
    return values.new_zeros(adjacency.nodes, values.shape[1]).index_add(0, adjacency.targets, values)


# name: (kernel, plain form, whether it takes a row a node)
Operation = Callable[[torch.Tensor, Adjacency], torch.Tensor]
OPERATIONS: dict[str, tuple[Operation, Operation, bool]] = {
    "sources": (gather_sources, lambda x, adjacency: x[adjacency.sources], True),
    "targets": (gather_targets, lambda x, adjacency: x[adjacency.targets], True),
    "sum": (sum_edges, scattered_sum, False),
    "dot": (
        dot_edges,
        lambda x, adjacency: (x[adjacency.targets] * x[adjacency.sources]).sum(1, keepdim=True),
        True,
    ),
    "softmax": (edge_softmax, scattered_softmax, False),
    "max": (max_aggregate, scattered_max, True),
}


@pytest.mark.parametrize("name", OPERATIONS)
@given(graph=graphs(), width=st.integers(1, 9), loops=st.booleans())
def test_it_equals_its_plain_form_both_ways(name: str, graph, width: int, loops: bool):
    edge_index, nodes = graph
    adjacency = Adjacency.from_edges(edge_index, nodes, loops=loops)
    operation, plain, of_nodes = OPERATIONS[name]
    x = normal(nodes if of_nodes else adjacency.sources.numel(), width).requires_grad_()
    out, expected = operation(x, adjacency), plain(x, adjacency)
    torch.testing.assert_close(out, expected)
    gradient = normal(*out.shape, seed=2)
    (found,) = torch.autograd.grad(out, x, gradient)
    (wanted,) = torch.autograd.grad(expected, x, gradient) if expected.requires_grad else (torch.zeros_like(x),)
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_gradient_is_the_numerical_one(name: str):
    adjacency = Adjacency.from_edges(torch.tensor([[0, 0, 2, 2, 1], [1, 1, 0, 2, 3]]), 5)
    operation, _, of_nodes = OPERATIONS[name]
    x = normal(5 if of_nodes else adjacency.sources.numel(), 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: operation(x, adjacency), (x,))


@pytest.mark.parametrize("name", [*OPERATIONS, "weighted"])
def test_the_bits_do_not_depend_on_the_number_of_threads(name: str):
    nodes = 3000
    edge_index = torch.randint(nodes, (2, 40_000), generator=torch.Generator().manual_seed(1))
    adjacency = Adjacency.from_edges(edge_index, nodes)
    edges = adjacency.sources.numel()
    weights = normal(edges, 2, dtype=torch.float32)
    operation, of_nodes = (lambda x, adjacency: weighted_aggregate(weights, x, adjacency)), True
    if name in OPERATIONS:
        operation, _, of_nodes = OPERATIONS[name]
    found = []
    threads = torch.get_num_threads()
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            x = normal(nodes if of_nodes else edges, 16, dtype=torch.float32).requires_grad_()
            out = operation(x, adjacency)
            out.backward(normal(*out.shape, seed=2, dtype=torch.float32))
            found.append((out.detach(), x.grad))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])


def test_equal_maxima_share_the_gradient_evenly():
    adjacency = Adjacency.from_edges(torch.tensor([[0, 1, 2], [3, 3, 3]]), 4, loops=False)
    x = torch.tensor([[0.0], [0.0], [-1.0], [9.0]], requires_grad=True)
    max_aggregate(x, adjacency).sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0.5, 0.5, 0.0, 0.0]


def test_the_softmax_of_huge_scores_stays_finite():
    adjacency = Adjacency.from_edges(torch.tensor([[0, 1], [2, 2]]), 3, loops=False)
    out = edge_softmax(torch.tensor([[1e30], [1e30]]), adjacency)
    assert out.flatten().tolist() == [0.5, 0.5]
