"""Degrees, ranks and adjacencies, against their definitions on small graphs."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.topology import Topology


def star() -> Topology:
    """0 → 3, 1 → 3, 2 → 3, 0 → 2, and node 4 alone; an own loop at 3, an edge given twice."""
    return Topology(torch.tensor([[0, 1, 2, 0, 3, 0], [3, 3, 3, 2, 3, 2]]), 5)


def test_the_in_degree_counts_edges_as_they_are_given():
    assert star().in_degree.tolist() == [0, 0, 2, 4, 0]
    assert star().degree_counts == ((0, 3), (2, 1), (4, 1))


def test_the_rank_is_the_share_of_nodes_of_at_most_the_same_degree():
    assert torch.allclose(star().degree_rank, torch.tensor([0.6, 0.6, 0.8, 1.0, 0.6]))


def test_buckets_count_the_split_points_that_are_reached():
    assert star().buckets((1, 2, 5)).tolist() == [0, 0, 2, 2, 0]
    assert star().buckets(()).tolist() == [0] * 5


def test_without_loops_the_edges_stay_and_with_them_each_node_has_one():
    assert star().plain.incoming.starts.tolist() == [0, 0, 0, 2, 6, 6]
    assert star().looped.incoming.starts.tolist() == [0, 1, 2, 5, 9, 10]


@given(
    st.lists(
        st.tuples(st.integers(1, 6), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12)),
        min_size=1,
        max_size=4,
    )
)
def test_ranks_in_a_batch_are_those_of_each_graph_alone(graphs):
    edges, owner, alone, start = [], [], [], 0
    for number, (nodes, pairs) in enumerate(graphs):
        own = [(a % nodes, b % nodes) for a, b in pairs]
        index = torch.tensor(own, dtype=torch.int64).reshape(-1, 2).t()
        alone.append(Topology(index, nodes).degree_rank)
        edges.append(index + start)
        owner += [number] * nodes
        start += nodes
    batch = Topology(torch.cat(edges, dim=1), start, torch.tensor(owner))
    assert torch.equal(batch.degree_rank, torch.cat(alone))
