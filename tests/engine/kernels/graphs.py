"""Graphs for property tests: isolated nodes, self-loops, repeated edges, one node, no edges."""

from __future__ import annotations

import torch
from hypothesis import strategies as st


@st.composite
def graphs(draw):
    """(edge_index [2, E], nodes), up to 12 nodes and 40 edges."""
    nodes = draw(st.integers(1, 12))
    node = st.integers(0, nodes - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=40))
    edge_index = torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).t()
    return edge_index, nodes


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    """Standard normal values that the same seed gives again."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
