"""Labels of nodes of one large graph, trained in batches of some of its nodes and evaluated on the whole graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from engine.full_batch import FullBatch
from engine.graph import Graph
from engine.graph_batches import entries_of
from engine.kernels.sparse import SparseOperand
from engine.layers.operand import Constant, DenseOperand
from engine.problem import Batch, Measure
from engine.sampling.entry import Sampler


class NodeBatches(FullBatch):
    """As FullBatch, with an epoch of the sampler's batches."""

    def __init__(
        self, graph: Graph, device: torch.device, masks: Mapping[str, Tensor], measure: Measure, sampler: Sampler
    ) -> None:
        super().__init__(graph, device, masks, measure)
        self.sampler, self.device, self.y = sampler, device, graph.y
        self.size = sampler.size()

    def batches(self, epoch: int) -> Iterator[Batch]:
        for sample in self.sampler.batches(epoch):
            target = self.y[sample.nodes[sample.select]].to(self.device)
            topology = sample.topology.to(self.device)
            x = take_rows(self.x, sample.nodes.to(self.device))
            yield Batch(x, topology, target, sample.select.to(self.device), weight=target.shape[0])


def take_rows(x: Constant, rows: Tensor) -> Constant:
    """Some rows of a constant, as a constant of the same form."""
    operand = x.operand
    if isinstance(operand, SparseOperand):
        starts, _, entries = entries_of(operand.starts, rows)
        return Constant(SparseOperand(starts, operand.columns[entries], operand.values[entries], operand.inputs))
    return Constant(DenseOperand(operand.take(rows)))
