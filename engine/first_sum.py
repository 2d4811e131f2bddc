"""How many elements of sparse features, and of the first layer's sum over them, a run's training steps keep.

The ledger's held bytes ask for both. They depend on the data: on which features neighbours share, and on which nodes a
batch takes.
"""

from __future__ import annotations

from dataclasses import replace

from engine.datasets import GraphSize
from engine.kernels.sparse import SparseOperand
from engine.layers.neighbours import sparse_sum
from engine.layers.operand import Constant
from engine.models import MODELS
from engine.problem import Problem
from engine.spec import RunSpec


def with_kept_elements(spec: RunSpec, problem: Problem) -> GraphSize:
    """The problem's size with ``entries_a_node`` and ``summed_a_node``, counted over the first epoch's batches.

    Of a full batch, the places that are found here are those that the layers use later.
    """
    size = problem.size
    sums = MODELS[spec.model.name].sums_first
    entries = summed = nodes = 0
    for batch in problem.batches(1):
        if not isinstance(batch.x, Constant) or not isinstance(batch.x.operand, SparseOperand):
            return replace(size, entries_a_node=None, summed_a_node=None)
        rows, inputs = batch.x.shape
        nodes += rows
        entries += batch.x.operand.values.numel()
        if sums is not None:
            places = sparse_sum(batch.x, batch.x, batch.topology.plain, own=sums == "neighbours and own")
            summed += rows * inputs if places is None else places.columns.numel()
    if not nodes:
        return size
    return replace(size, entries_a_node=entries / nodes, summed_a_node=summed / nodes if sums is not None else None)
