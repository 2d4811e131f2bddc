"""Aggregates of neighbours' rows, for tensors of a step and for constants.

GIN and GraphSAGE aggregate before their linear product. The first layer's messages follow from the
dataset's features, which are constant and often sparse: their aggregate stays sparse, its places are
found once, and its values are kept where the messages are the same in every step.
"""

from __future__ import annotations

from typing import overload

from torch import Tensor

from engine.kernels.aggregate import Adjacency, aggregate
from engine.kernels.extremum import max_aggregate
from engine.kernels.sparse import SparseOperand
from engine.kernels.sparse_aggregate import SparseSum, sum_densely
from engine.layers.operand import Activation, Constant, DenseOperand, Operand


@overload
def sum_neighbours(message: Tensor, x: Activation, adjacency: Adjacency, *, own: bool = False) -> Tensor: ...
@overload
def sum_neighbours(message: Constant, x: Activation, adjacency: Adjacency, *, own: bool = False) -> Constant: ...
def sum_neighbours(message: Activation, x: Activation, adjacency: Adjacency, *, own: bool = False) -> Activation:
    """Σ over edges j→i of message_j: [N, F] → [N, F], tensor or constant as the message is.

    ``x``: what the message was made from, which remembers the places of a sparse sum; ``own``: with room for
    each node's own entries (``add_own``).
    """
    if isinstance(message, Tensor):
        return aggregate(message, adjacency)
    return message.keep(("sum", adjacency, own), lambda: Constant(_sum(message, x, adjacency, own)))


def _sum(message: Constant, x: Activation, adjacency: Adjacency, own: bool) -> Operand:
    operand, weights = message.operand, adjacency.weights
    plan = None if not isinstance(operand, SparseOperand) else sparse_sum(message, x, adjacency, own=own)
    if isinstance(operand, SparseOperand) and plan is not None:
        return plan.sum(operand.values, None if weights is None else weights.squeeze(1))
    if isinstance(operand, SparseOperand) and weights is None:
        return DenseOperand(sum_densely(operand, adjacency.incoming))
    return DenseOperand(aggregate(operand.dense(), adjacency))


def sparse_sum(message: Constant, x: Activation, adjacency: Adjacency, *, own: bool) -> SparseSum | None:
    """The places of a sum over neighbours: x's, which stay, where the message has kept x's places; else found anew.

    None where the sum would not be sparse. The message's operand is.
    """
    operand = message.operand
    assert isinstance(operand, SparseOperand)
    keeper = message
    if isinstance(x, Constant) and isinstance(x.operand, SparseOperand) and operand.columns is x.operand.columns:
        keeper = x
    return keeper.keep(("places", adjacency, own), lambda: SparseSum.plan(operand, adjacency.incoming, own=own))


def add_own(
    total: Activation, own: Activation, scale: float | Tensor, x: Activation, adjacency: Adjacency
) -> Activation:
    """total + scale·own, where ``total`` is a ``sum_neighbours(…, x, …, own=True)`` and ``own`` is x, perhaps dropped.

    A constant where all are; a learned ``scale`` makes it a tensor of the step.
    """
    if isinstance(total, Constant) and isinstance(own, Constant) and not isinstance(scale, Tensor):
        return total.keep(("own", own, scale), lambda: Constant(_add_own(total, own, scale, x, adjacency)))
    return _tensor(total) + scale * _tensor(own)


def _tensor(x: Activation) -> Tensor:
    return x if isinstance(x, Tensor) else x.dense()


def _add_own(total: Constant, own: Constant, scale: float, x: Activation, adjacency: Adjacency) -> Operand:
    if isinstance(total.operand, SparseOperand) and isinstance(own.operand, SparseOperand):
        plan = sparse_sum(own, x, adjacency, own=True)
        if plan is not None and plan.owns(total.operand):
            return plan.add_own(total.operand, scale * own.operand.values)
    return DenseOperand(total.dense() + scale * own.dense())


@overload
def mean_neighbours(message: Tensor, x: Activation, adjacency: Adjacency) -> Tensor: ...
@overload
def mean_neighbours(message: Constant, x: Activation, adjacency: Adjacency) -> Constant: ...
def mean_neighbours(message: Activation, x: Activation, adjacency: Adjacency) -> Activation:
    """The mean over edges j→i of message_j, 0 where none comes in: [N, F] → [N, F]."""
    if isinstance(message, Tensor):
        return aggregate(message, adjacency) * adjacency.inverse_degree

    def mean() -> Constant:
        total = _sum(message, x, adjacency, False)
        if isinstance(total, SparseOperand):
            return Constant(total.with_values(total.values * adjacency.inverse_degree.squeeze(1)[total.entry_rows]))
        return Constant(DenseOperand(total.dense() * adjacency.inverse_degree))

    return message.keep(("mean", adjacency), mean)


@overload
def max_neighbours(message: Tensor, x: Activation, adjacency: Adjacency) -> Tensor: ...
@overload
def max_neighbours(message: Constant, x: Activation, adjacency: Adjacency) -> Constant: ...
def max_neighbours(message: Activation, x: Activation, adjacency: Adjacency) -> Activation:
    """The greatest of message_j over edges j→i, element by element, 0 where none comes in: [N, F] → [N, F]."""
    if isinstance(message, Tensor):
        return max_aggregate(message, adjacency)

    def greatest() -> Constant:
        operand = message.operand
        if isinstance(operand, SparseOperand):
            plan = sparse_sum(message, x, adjacency, own=False)
            if plan is not None:
                return Constant(plan.greatest(operand.values))
        return Constant(DenseOperand(max_aggregate(operand.dense(), adjacency)))

    return message.keep(("max", adjacency), greatest)


AGGREGATES = {"sum": sum_neighbours, "mean": mean_neighbours, "max": max_neighbours}
"""Aggregates by name: (message, what it was made from, adjacency) → [N, F]."""
