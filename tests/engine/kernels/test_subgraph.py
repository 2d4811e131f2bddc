"""Parts of a graph: the edges between some nodes exactly, and samples in which each set is as likely as any other."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.csr import csr
from engine.kernels.subgraph import sample_around, take_inside
from engine.randomness import make_key
from tests.engine.kernels.graphs import graphs
from tests.engine.kernels.test_csr import entries


def named(matrix, nodes: torch.Tensor) -> list[tuple[int, int]]:
    """The entries by the whole graph's numbers."""
    return [(int(nodes[row]), int(nodes[column])) for row, column in entries(matrix)]


@given(graphs(), st.data())
def test_the_edges_between_some_nodes(graph, data):
    (rows, columns), nodes = graph
    whole = csr(rows, columns, nodes)
    kept = torch.tensor(sorted(data.draw(st.sets(st.integers(0, nodes - 1)))), dtype=torch.int64)
    inside = set(kept.tolist())
    part = take_inside(whole, kept)
    assert named(part, kept) == [(i, j) for i, j in entries(whole) if i in inside and j in inside]


@given(graphs(), st.data(), st.integers(0, 5))
def test_a_sample_takes_as_many_of_a_nodes_edges_as_it_may_and_no_edge_twice(graph, data, seed: int):
    (rows, columns), nodes = graph
    whole = csr(rows, columns, nodes)
    roots = torch.tensor(sorted(data.draw(st.sets(st.integers(0, nodes - 1), min_size=1))), dtype=torch.int64)
    found, part = sample_around(whole, roots, [2, 1], make_key(seed, 0, 0))
    reached = {int(root): 2 for root in roots}
    for i, j in named(part, found):
        if reached.get(i) == 2:
            reached.setdefault(j, 1)
    taken = named(part, found)
    for node in found.tolist():
        of_node = [j for i, j in taken if i == node]
        every = [j for i, j in entries(whole) if i == node]
        assert len(of_node) == min(len(every), reached.get(node, 0))
        for other in set(of_node):
            assert of_node.count(other) <= every.count(other)
    assert set(found.tolist()) == set(roots.tolist()) | {j for _, j in taken}
    assert found.tolist() == sorted(found.tolist())


@given(graphs())
def test_all_neighbours_for_as_many_rounds_as_there_are_nodes_reach_all_that_can_be_reached(graph):
    (rows, columns), nodes = graph
    whole = csr(rows, columns, nodes)
    every = torch.arange(nodes)
    found, part = sample_around(whole, every, [None], make_key(0, 0, 0))
    assert torch.equal(found, every)
    assert entries(part) == entries(whole)


def test_each_edge_and_each_pair_is_as_likely_as_any_other():
    degree, fanout, draws = 7, 3, 20_000
    star = csr(torch.zeros(degree, dtype=torch.int64), torch.arange(1, degree + 1), degree + 1)
    root = torch.tensor([0])
    together = torch.zeros(degree, degree)
    for number in range(draws):
        found, part = sample_around(star, root, [fanout], make_key(0, 0, number))
        taken = found[part.columns.long()] - 1
        together[taken.unsqueeze(1), taken] += 1
    for pair, share in (
        (torch.eye(degree, dtype=torch.bool), fanout / degree),
        (~torch.eye(degree, dtype=torch.bool), fanout * (fanout - 1) / (degree * (degree - 1))),
    ):
        deviation = (share * (1 - share) / draws) ** 0.5
        assert ((together[pair] / draws - share).abs() < 5 * deviation).all()
