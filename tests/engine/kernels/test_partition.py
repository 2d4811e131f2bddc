"""Partitions: every node in one part, none above its room, few cut edges, the same for the same key."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.kernels.aggregate import Adjacency
from engine.kernels.partition import partition
from engine.randomness import make_key, uniform
from tests.engine.kernels.graphs import graphs


@given(graphs(), st.integers(1, 5), st.integers(0, 3))
def test_every_node_is_in_one_part_and_no_part_is_overfull(graph, parts: int, seed: int):
    edge_index, nodes = graph
    parts = min(parts, nodes)
    adjacency = Adjacency.from_edges(edge_index, nodes, loops=False)
    part = partition(adjacency.incoming, adjacency.outgoing, parts, make_key(seed, 0, 0))
    assert part.shape == (nodes,)
    counts = torch.bincount(part, minlength=parts)
    assert counts.numel() == parts
    assert counts.max() <= -(-nodes // parts)
    again = partition(adjacency.incoming, adjacency.outgoing, parts, make_key(seed, 0, 0))
    assert torch.equal(part, again)


def ring_of_cliques(cliques: int, size: int) -> tuple[torch.Tensor, int]:
    """Cliques joined in a ring by one edge each, their nodes numbered in hashed order."""
    pairs = [(c * size + a, c * size + b) for c in range(cliques) for a in range(size) for b in range(size) if a != b]
    pairs += [(c * size, ((c + 1) % cliques) * size + 1) for c in range(cliques)]
    order = uniform(make_key(0, 1, 0), (cliques * size,)).argsort()
    edges = order[torch.tensor(pairs).t()]
    return torch.cat([edges, edges.flip(0)], dim=1), cliques * size


@pytest.mark.parametrize("seed", range(3))
def test_parts_follow_the_edges(seed: int):
    edge_index, nodes = ring_of_cliques(8, 12)
    adjacency = Adjacency.from_edges(edge_index, nodes, loops=False)
    part = partition(adjacency.incoming, adjacency.outgoing, 8, make_key(seed, 0, 0))
    source, target = edge_index
    cut = (part[source] != part[target]).float().mean().item()
    # Parts drawn at random cut seven edges of eight.
    assert cut < 0.25
