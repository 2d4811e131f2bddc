"""Sparse aggregates: equal to the dense ones, with places that are found once."""

from __future__ import annotations

from dataclasses import replace

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.aggregate import Adjacency, aggregate
from engine.kernels.extremum import max_aggregate
from engine.kernels.sparse import SparseOperand
from engine.kernels.sparse_aggregate import SparseSum, sum_densely
from tests.engine.kernels.graphs import graphs


def sparse(nodes: int, seed: int) -> tuple[torch.Tensor, SparseOperand]:
    """Whole numbers of both signs at one place in thirty, as a dense tensor and as an operand."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-4, 5, (nodes, 60), generator=generator).float()
    x *= torch.rand(nodes, 60, generator=generator) < 1 / 30
    rows, columns = x.nonzero(as_tuple=True)
    starts = torch.zeros(nodes + 1, dtype=torch.int64)
    starts[1:] = torch.bincount(rows, minlength=nodes).cumsum(0)
    return x, SparseOperand(starts, columns, x[rows, columns], 60)


@given(graphs(), st.integers(0, 50), st.booleans(), st.booleans())
def test_sums_and_maxima_equal_the_dense_ones(graph, seed: int, own: bool, loops: bool):
    edge_index, nodes = graph
    adjacency = Adjacency.from_edges(edge_index, nodes, loops=loops)
    x, operand = sparse(nodes, seed)
    expected = aggregate(x, adjacency)
    assert torch.equal(sum_densely(operand, adjacency.incoming), expected)
    plan = SparseSum.plan(operand, adjacency.incoming, own=own)
    if plan is None:
        places = aggregate((x != 0).float(), adjacency) + own * (x != 0)
        assert torch.count_nonzero(places) > 0.15 * x.numel()
        return
    assert plan.fits(operand)
    total = plan.sum(operand.values)
    assert plan.owns(total)
    assert torch.equal(total.dense(), expected)
    assert torch.equal(plan.greatest(operand.values).dense(), max_aggregate(x, adjacency))
    if own:
        assert torch.equal(plan.add_own(total, 3 * operand.values).dense(), expected + 3 * x)


def test_a_plan_serves_other_values_at_the_same_places():
    adjacency = Adjacency.from_edges(torch.tensor([[0, 1, 2], [1, 2, 0]]), 3, loops=False)
    x, operand = sparse(3, 4)
    plan = SparseSum.plan(operand, adjacency.incoming, own=False)
    assert plan is not None
    doubled = operand.with_values(2 * operand.values)
    assert plan.fits(doubled)
    assert torch.equal(plan.sum(doubled.values).dense(), aggregate(2 * x, adjacency))
    assert not plan.fits(sparse(3, 4)[1])


@given(graphs(), st.integers(0, 50))
def test_weighted_sums_equal_the_dense_ones(graph, seed: int):
    edge_index, nodes = graph
    plain = Adjacency.from_edges(edge_index, nodes, loops=False)
    # Powers of two, as sums of whole numbers times them are exact in any order.
    weights = 2.0 ** (torch.arange(plain.sources.numel()) % 3).unsqueeze(1)
    x, operand = sparse(nodes, seed)
    plan = SparseSum.plan(operand, plain.incoming, own=False)
    if plan is not None:
        expected = aggregate(x, replace(plain, weights=weights))
        assert torch.equal(plan.sum(operand.values, weights.squeeze(1)).dense(), expected)


@given(st.integers(0, 50), st.booleans())
def test_values_are_taken_at_an_operands_places_where_all_non_zeros_lie_there(seed: int, beside: bool):
    x, operand = sparse(5, seed)
    other = torch.where(x > 0, x + 1, 0.0)
    if beside:
        other[(x == 0).nonzero()[0].unbind()] = 1.0
        assert operand.values_of(other) is None
        return
    found = operand.values_of(other)
    assert found is not None
    assert found.columns is operand.columns
    assert torch.equal(found.dense(), other)
