"""What the ledger asks of a run's size that only its data tell, counted over the first epoch's batches.

How many elements of sparse features the steps keep, and of the first layer's sums over them, depends on which features
neighbours share. How many messages come from nodes of which degree, and how often their senders are protected, depends
on which edges a batch keeps. All other sizes are told without looking.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from engine.datasets import GraphSize, Messages
from engine.kernels.sparse import SparseOperand
from engine.layers.neighbours import sparse_sum
from engine.layers.operand import Constant
from engine.models import MODELS
from engine.problem import Batch, Problem
from engine.spec import RunSpec
from engine.topology import Topology


def counted_size(spec: RunSpec, problem: Problem) -> GraphSize:
    """The problem's size with ``entries_a_node``, ``summed_a_node``, ``loops`` and ``messages``.

    What the scheme and the model do not ask for is not counted; of a full batch, what is derived here is what the
    layers use later.
    """
    size, scheme = problem.size, spec.parsed_scheme
    by_degree = bool(scheme.splits) or scheme.protection is not None
    if size.entries_a_node is None and not by_degree and not size.loops:
        return size
    features = _Features(MODELS[spec.model.name].sums_first)
    messages = _Messages()
    loops = 0
    for batch in problem.batches(1):
        features.add(batch)
        if size.loops:
            loops += int((batch.topology.edge_index[0] == batch.topology.edge_index[1]).sum())
        if by_degree and not _told_by_degrees(size, batch.topology):
            messages.add(batch.topology)
        elif not features.sparse and not size.loops:
            break
    return replace(
        size,
        entries_a_node=features.entries_a_node,
        summed_a_node=features.summed_a_node,
        loops=loops,
        messages=messages.found,
    )


def _told_by_degrees(size: GraphSize, topology: Topology) -> bool:
    """Whether a node sends as many messages as it gets, and all nodes are in the one batch."""
    whole = not size.parted and size.graphs == 1 and not size.loops
    return whole and topology.plain.outgoing.columns is topology.plain.incoming.columns


class _Features:
    """Elements of sparse features and of the first layer's sums."""

    def __init__(self, sums: str | None) -> None:
        self.sums, self.sparse = sums, True
        self.nodes = self.entries = self.summed = 0

    def add(self, batch: Batch) -> None:
        operand = batch.x.operand if isinstance(batch.x, Constant) else None
        if not isinstance(batch.x, Constant) or not isinstance(operand, SparseOperand):
            self.sparse = False
            return
        rows, inputs = operand.shape
        self.nodes += rows
        self.entries += operand.values.numel()
        if self.sums is not None:
            own = self.sums == "neighbours and own"
            places = sparse_sum(batch.x, batch.x, batch.topology.plain, own=own)
            self.summed += rows * inputs if places is None else places.columns.numel()

    @property
    def entries_a_node(self) -> float | None:
        return self.entries / self.nodes if self.sparse and self.nodes else None

    @property
    def summed_a_node(self) -> float | None:
        return self.summed / self.nodes if self.sparse and self.nodes and self.sums is not None else None


class _Messages:
    """Messages by their senders."""

    def __init__(self) -> None:
        self.counts = torch.zeros(0, dtype=torch.int64)
        self.nodes = 0
        self.ranks = [0.0, 0.0]

    def add(self, topology: Topology) -> None:
        sources = topology.looped.sources
        counts = torch.bincount(topology.in_degree[sources]).cpu()
        self.counts = _longer(self.counts, counts.numel())
        self.counts[: counts.numel()] += counts
        self.nodes += topology.nodes
        for index, ranks in enumerate((topology.degree_rank, topology.degree_rank[sources])):
            self.ranks[index] += float(ranks.sum(dtype=torch.float64))

    @property
    def found(self) -> Messages | None:
        total = int(self.counts.sum())
        if not total:
            return None
        by_degree = tuple((degree, count) for degree, count in enumerate(self.counts.tolist()) if count)
        return Messages(by_degree, self.ranks[0] / self.nodes, self.ranks[1] / total)


def _longer(counts: Tensor, size: int) -> Tensor:
    more = max(0, size - counts.numel())
    return torch.cat([counts, counts.new_zeros(more)])
