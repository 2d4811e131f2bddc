"""The plain torch forms for accelerators give what the CPU's kernels give (compared on the CPU)."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels import segments
from engine.kernels.aggregate import Adjacency
from engine.kernels.attention import edge_softmax
from engine.kernels.extremum import max_aggregate
from tests.engine.kernels.graphs import graphs, normal


@given(graphs(), st.integers(1, 3), st.integers(1, 6), st.booleans())
def test_each_form_equals_its_kernel(graph, heads: int, width: int, loops: bool):
    edge_index, nodes = graph
    adjacency = Adjacency.from_edges(edge_index, nodes, loops=loops)
    edges = adjacency.sources.numel()
    x, y = normal(nodes, heads * width), normal(nodes, heads * width, seed=1)
    values = normal(edges, heads, seed=2)
    for matrix in (adjacency.incoming, adjacency.outgoing):
        torch.testing.assert_close(segments.sum_rows(matrix, x), matrix.sum_rows(x))
        torch.testing.assert_close(segments.sum_weighted_rows(matrix, values, x), matrix.sum_weighted_rows(values, x))
        torch.testing.assert_close(segments.sum_entries(matrix, values[matrix.edges]), matrix.sum_edges(values))
        torch.testing.assert_close(segments.dot_edges(matrix, x, y, heads), matrix.dot_edges(x, y, heads))
    torch.testing.assert_close(segments.row_of_entry(adjacency.incoming), adjacency.targets)
    incoming, outgoing = adjacency.incoming, adjacency.outgoing

    values.requires_grad_()
    alpha = edge_softmax(values, adjacency)
    torch.testing.assert_close(segments.softmax(incoming, values.detach()), alpha)
    gradient = normal(edges, heads, seed=3)
    (found,) = torch.autograd.grad(alpha, values, gradient)
    torch.testing.assert_close(segments.softmax_gradient(incoming, alpha.detach(), gradient), found)

    # Whole numbers: equal maxima are frequent.
    x = x.round().requires_grad_()
    top = max_aggregate(x, adjacency)
    torch.testing.assert_close(segments.greatest(incoming, x.detach()), top)
    (found,) = torch.autograd.grad(top, x, y)
    torch.testing.assert_close(segments.greatest_gradient(incoming, outgoing, x.detach(), top.detach(), y), found)
