"""Compile every CPU kernel once, so that workers that start together find them in the cache.

python -m engine.kernels.warm
"""

from __future__ import annotations

import numpy as np
import torch

from engine.estimators import clipped
from engine.formats import get_format
from engine.kernels.aggregate import Adjacency, aggregate, weighted_aggregate
from engine.kernels.attention import edge_softmax
from engine.kernels.edges import dot_edges, gather_sources
from engine.kernels.extremum import max_aggregate
from engine.kernels.finish import Program, column_extremes, finish_rows
from engine.kernels.integer_products import Kernel, multiply_dense, multiply_entries
from engine.kernels.integer_sums import FixedPoint, pack_nibbles, sum_codes, sum_nibbles, sum_weighted
from engine.kernels.partition import partition
from engine.kernels.sparse import SparseOperand
from engine.kernels.sparse_aggregate import SparseSum, sum_densely
from engine.kernels.subgraph import sample_around, take_inside
from engine.randomness import make_key

FORMATS = (
    "int8",
    "int16",
    "int8-floor",
    "msfp13",
    "mxfp8_e4m3",
    "mxint8",
    "bf16",
    "log4",
    "msfp13(thesis_exponent=true)",
)
"""One of each kernel's kinds of arguments."""


def warm() -> None:
    """Call each kernel with each kind of arguments; what is in the cache already is only loaded."""
    key = make_key(0, 0, 0)
    x = torch.linspace(-1, 1, 3 * 40, requires_grad=True).view(3, 40)
    for name in FORMATS:
        format = get_format(name)
        for rounding in ("nearest", "stochastic"):
            mode = format.rounding if rounding == "nearest" else rounding
            for axis in (0, 1):
                format.fake_quantize(x, axis, rounding=mode, generator=key)
            if format.ranged:
                for granularity in ("tensor", "row"):
                    for axis in (0, 1):
                        format.fake_quantize(
                            x, axis, range=(-1.0, 1.0), granularity=granularity, rounding=mode, generator=key
                        )
                        format.fake_quantize(x, axis, granularity=granularity, rounding=mode, generator=key)
    for limits in (None, (-0.5, 0.5)):
        for mode in ("nearest", "stochastic"):
            clipped(x, get_format("int8"), range=limits, rounding=mode, generator=key).sum().backward()
    warm_graph()
    warm_integers()


def warm_graph() -> None:
    """Call each kernel that goes over a graph's edges, both ways."""
    adjacency = Adjacency.from_edges(torch.tensor([[1, 0], [2, 1]]), 3)
    adjacency.outgoing.edges.sum()
    partition(adjacency.incoming, adjacency.outgoing, 2, make_key(0, 0, 0))
    take_inside(adjacency.incoming, torch.tensor([0, 1]))
    sample_around(adjacency.incoming, torch.tensor([0]), [1, None], make_key(0, 0, 0))
    x = torch.ones(3, 4, requires_grad=True)
    weights = edge_softmax(gather_sources(x, adjacency) + dot_edges(x, adjacency), adjacency)
    weighted_aggregate(weights, x, adjacency).sum().backward()
    max_aggregate(aggregate(x, adjacency), adjacency).sum().backward()
    sparse = SparseOperand(torch.tensor([0, 1, 1, 1]), torch.tensor([0]), torch.ones(1), 100)
    plan = SparseSum.plan(sparse.drop(0.5, make_key(0, 0, 0)), adjacency.incoming, own=True)
    assert plan is not None
    plan.sum(sparse.values).multiply_gradient(plan.greatest(sparse.values).multiply(torch.ones(2, 100)))
    sum_densely(sparse, adjacency.incoming)


def warm_integers() -> None:
    """Call each kernel that sums or multiplies codes."""
    matrix = Adjacency.from_edges(torch.tensor([[1, 0], [2, 1]]), 3).incoming
    codes, kernel = np.ones((3, 64), np.int8), Kernel.of(np.ones((64, 64), np.int64))
    sparse = SparseOperand(torch.tensor([0, 1, 1, 1]), torch.tensor([0]), torch.ones(1), 64)
    packed, fixed = pack_nibbles(codes.view(np.uint8)), FixedPoint.of(torch.ones(3, 1), matrix)
    out = np.empty((3, 64), np.int32)
    sum_codes(matrix, codes, 0, out)
    sum_nibbles(matrix, packed, 0, out)
    multiply_dense(codes, 0, kernel, out)
    multiply_entries(sparse, np.ones(1, np.int16), kernel, out)
    sum_weighted(matrix, codes, 0, fixed, np.empty((3, 64)))
    values = np.ones((3, 64), np.float32)
    finish_rows(values, Program(np.ones(64)), values)
    column_extremes(values, np.ones(64, np.float32), np.ones(64, np.float32), 0, 3)


if __name__ == "__main__":
    warm()
