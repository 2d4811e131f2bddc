"""Sparse matrices of edges: equal to sorting, int32, shared where the graph is undirected."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given

from engine.kernels.aggregate import Adjacency
from engine.kernels.csr import csr
from tests.engine.kernels.graphs import graphs


def entries(matrix) -> list[tuple[int, int]]:
    return [
        (row, column)
        for row in range(matrix.rows)
        for column in matrix.columns[matrix.starts[row] : matrix.starts[row + 1]].tolist()
    ]


@given(graphs())
def test_the_entries_come_sorted_by_row_and_column(graph):
    (rows, columns), nodes = graph
    matrix = csr(rows, columns, nodes)
    assert entries(matrix) == sorted(zip(rows.tolist(), columns.tolist(), strict=True))
    assert matrix.columns.dtype == torch.int32
    first, second = torch.tensor(entries(matrix), dtype=torch.int64).reshape(-1, 2).unbind(1)
    again = csr(first, second, nodes)
    assert torch.equal(again.columns, matrix.columns), "sorted entries stay where they are"


@given(graphs())
def test_the_transpose_of_the_transpose_is_the_matrix(graph):
    (rows, columns), nodes = graph
    matrix = csr(rows, columns, nodes)
    transposed = matrix.transpose()
    assert entries(transposed) == sorted((column, row) for row, column in entries(matrix))
    assert entries(transposed.transpose()) == entries(matrix)
    assert [entries(matrix)[number] for number in transposed.edges.tolist()] == [
        (row, column) for column, row in entries(transposed)
    ]


@given(graphs())
def test_every_row_has_one_entry_on_the_diagonal(graph):
    (rows, columns), nodes = graph
    looped = csr(rows, columns, nodes).with_loops()
    others = [(i, j) for i, j in zip(rows.tolist(), columns.tolist(), strict=True) if i != j]
    assert entries(looped) == sorted(others + [(node, node) for node in range(nodes)])


@given(graphs())
def test_an_undirected_graph_holds_its_columns_once(graph):
    (source, target), nodes = graph
    both = torch.stack([torch.cat([source, target]), torch.cat([target, source])])
    plain = Adjacency.from_edges(both, nodes, loops=False)
    assert plain.outgoing.columns is plain.incoming.columns
    looped = plain.with_loops()
    assert looped.outgoing.columns is looped.incoming.columns
    assert entries(looped.outgoing) == entries(Adjacency.from_edges(both, nodes).incoming)


def test_a_directed_graph_has_a_transpose_of_its_own():
    adjacency = Adjacency.from_edges(torch.tensor([[0, 1], [1, 2]]), 3, loops=False)
    assert adjacency.outgoing.columns.tolist() == [1, 2]
    assert adjacency.incoming.columns.tolist() == [0, 1]


@pytest.mark.parametrize("edge", [(0, 3), (3, 0), (-1, 0)])
def test_an_edge_to_a_node_that_there_is_not_is_refused(edge):
    with pytest.raises(ValueError, match=r"^an edge names a node that there is not: the numbers go from 0 to 2$"):
        Adjacency.from_edges(torch.tensor([[0, edge[0]], [1, edge[1]]]), 3)
