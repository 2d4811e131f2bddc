"""Batches of a set of graphs, put together from slices of what was derived from the whole set once.

The graphs' nodes lie one after the other, so each graph is a slice of the set's rows and, in a matrix sorted by
rows, of its entries. A batch is a few slices with other offsets: no edge is sorted again, no degree counted again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from engine.datasets import GraphSize
from engine.full_batch import judged
from engine.graph import Graph
from engine.kernels.aggregate import Adjacency
from engine.kernels.csr import Csr
from engine.kernels.sparse import SparseOperand
from engine.layers.operand import Activation, Constant
from engine.problem import SPLITS, Batch, Measure, Predict, Values, View
from engine.splits import shuffled
from engine.topology import Topology


def entries_of(starts: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The entries of some rows of a CSR matrix, row after row: their starts [n + 1], row counts [n], numbers [nnz]."""
    counts = starts[rows + 1] - starts[rows]
    taken = torch.zeros(rows.numel() + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(counts, 0, out=taken[1:])
    shift = torch.repeat_interleave(starts[rows] - taken[:-1], counts)
    return taken, counts, shift + torch.arange(shift.numel(), device=rows.device)


class BatchTopology(Topology):
    """The structure of some graphs of a set: equal, entry for entry, to that made from their edges alone.

    ``rows`` [n]: the nodes' numbers in the set; ``graph`` [n]: their graphs' numbers in the batch.
    """

    def __init__(self, whole: Topology, rows: Tensor, graph: Tensor) -> None:
        self.whole, self.rows, self.graph = whole, rows, graph
        self.nodes = rows.numel()

    @cached_property
    def edge_index(self) -> Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return torch.stack([self.plain.sources, self.plain.targets])

    @cached_property
    def looped(self) -> Adjacency:
        return self._taken(self.whole.looped)

    @cached_property
    def plain(self) -> Adjacency:
        return self._taken(self.whole.plain)

    @cached_property
    def in_degree(self) -> Tensor:
        return self.whole.in_degree[self.rows]

    @cached_property
    def degree_rank(self) -> Tensor:
        return self.whole.degree_rank[self.rows]

    def _taken(self, whole: Adjacency) -> Adjacency:
        into = self._slices(whole.incoming)
        shared = whole.outgoing.columns is whole.incoming.columns
        out = Csr(into.starts, into.columns, into) if shared else self._slices(whole.outgoing, into)
        return Adjacency(into, out, whole.inverse_sqrt_degree[self.rows], whole.inverse_degree[self.rows])

    def _slices(self, matrix: Csr, numbering: Csr | None = None) -> Csr:
        starts, counts, entries = entries_of(matrix.starts, self.rows)
        # Within a graph every node moves by as much.
        shift = (torch.arange(self.nodes, device=self.rows.device) - self.rows).to(matrix.columns.dtype)
        return Csr(starts, matrix.columns[entries] + torch.repeat_interleave(shift, counts), numbering)

    def to(self, device: torch.device | str) -> Topology:
        return self


class GraphSet:
    """Graphs whose nodes lie one after the other, on a device, from which batches are taken by their numbers."""

    def __init__(self, graph: Graph, device: torch.device) -> None:
        assert graph.graph is not None
        self.topology = graph.topology.to(device)
        counts = torch.bincount(graph.graph, minlength=graph.size.graphs).to(device)
        self.starts = torch.zeros(graph.size.graphs + 1, dtype=torch.int64, device=device)
        torch.cumsum(counts, 0, out=self.starts[1:])
        operand = Constant.of(graph.x.to(device)).operand
        self.features = operand if isinstance(operand, SparseOperand) else operand.dense()

    def __len__(self) -> int:
        return self.starts.numel() - 1

    def take(self, numbers: Tensor) -> tuple[Activation, BatchTopology]:
        """Features and structure of the graphs of these numbers, in their order."""
        _, counts, rows = entries_of(self.starts, numbers)
        graph = torch.repeat_interleave(torch.arange(numbers.numel(), device=rows.device), counts)
        return self._features(rows), BatchTopology(self.topology, rows, graph)

    def _features(self, rows: Tensor) -> Activation:
        if isinstance(self.features, Tensor):
            return self.features[rows]
        starts, _, entries = entries_of(self.features.starts, rows)
        values, columns = self.features.values[entries], self.features.columns[entries]
        return Constant(SparseOperand(starts, columns, values, self.features.inputs))


class GraphBatches:
    """A task on a set of graphs: batches of whole graphs, in an order hashed from (seed, epoch).

    ``targets``: by graph [G, …], or with ``by_node`` by node [N, …], ``masks`` over the same. Where targets are by
    node, a graph trains if it has a training node, and nothing of the other graphs is seen (inductive).

    ``batch_size`` graphs a batch, 0: all of a split. Evaluation takes the graphs in the order of their numbers, as many
    at a time: quantizers whose range is that of the current tensor depend on what shares a batch, so the parting is
    always the same one. Without quantization it changes nothing, as batch normalization uses its running statistics.
    """

    def __init__(
        self,
        graph: Graph,
        device: torch.device,
        masks: Mapping[str, Tensor],
        measure: Measure,
        *,
        seed: int,
        batch_size: int,
        targets: Tensor | None = None,
        by_node: bool = False,
    ) -> None:
        self.metric, self.unit = measure.metric, measure.unit
        self.higher_is_better = measure.higher_is_better
        self.measure, self.seed, self.by_node = measure, seed, by_node
        self.set = GraphSet(graph, device)
        self.targets = (graph.y if targets is None else targets).to(device)
        self.masks = {split: masks[split].to(device) for split in SPLITS}
        self.numbers = {split: self._graphs_of(mask) for split, mask in self.masks.items()}
        self.batch_size = batch_size or max(1, max(map(len, self.numbers.values())))
        self.size = self._size(graph)

    def _graphs_of(self, mask: Tensor) -> Tensor:
        if not self.by_node:
            return mask.nonzero().squeeze(1)
        owners = self.set.topology.graph
        assert owners is not None
        return owners[mask].unique()

    def _size(self, graph: Graph) -> GraphSize:
        _, _, rows = entries_of(self.set.starts, self.numbers["train"])
        degree = self.set.topology.in_degree[rows]
        counts = torch.bincount(degree).tolist()
        graphs = self.numbers["train"].numel()
        return replace(
            graph.size,
            nodes=rows.numel(),
            edges=int(degree.sum()),
            graphs=graphs,
            degrees=tuple((degree, count) for degree, count in enumerate(counts) if count),
            batches=-(-graphs // self.batch_size),
            parted=True,
        )

    def _batch(self, split: str, numbers: Tensor) -> Batch:
        x, topology = self.set.take(numbers)
        if not self.by_node:
            target = self.targets[numbers]
            return Batch(x, topology, target, None, weight=_known(target))
        select = self.masks[split][topology.rows]
        target = self.targets[topology.rows[select]]
        return Batch(x, topology, target, select, weight=_known(target))

    def batches(self, epoch: int) -> Iterator[Batch]:
        numbers = self.numbers["train"]
        order = shuffled(numbers.numel(), self.seed, "shuffling", epoch).to(numbers.device)
        for part in numbers[order].split(self.batch_size):
            yield self._batch("train", part)

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return self.measure.loss(_selected(outputs, batch), batch.target)

    def evaluate(self, predict: Predict) -> tuple[Values, Values]:
        losses: Values = {}
        scores: Values = {}
        for split, numbers in self.numbers.items():
            found = [(torch.empty(0), torch.empty(0))]
            if numbers.numel():
                batches = (self._batch(split, part) for part in numbers.split(self.batch_size))
                found = [(_selected(predict(batch.x, batch.topology), batch), batch.target) for batch in batches]
            outputs, targets = (torch.cat(parts) for parts in zip(*found, strict=True))
            losses[split], scores[split] = judged(self.measure, outputs, targets)
        return losses, scores

    def views(self) -> Iterator[View]:
        rest = torch.ones(len(self.set), dtype=torch.bool, device=self.set.starts.device)
        for numbers in self.numbers.values():
            rest[numbers] = False
        for numbers in (*self.numbers.values(), rest.nonzero().squeeze(1)):
            for part in numbers.split(self.batch_size):
                if part.numel():
                    x, topology = self.set.take(part)
                    yield View(x, topology, topology.rows if self.by_node else part)


def _selected(outputs: Tensor, batch: Batch) -> Tensor:
    return outputs if batch.select is None else outputs[batch.select]


def _known(target: Tensor) -> int:
    """How many targets there are, missing ones left out."""
    return int((~torch.isnan(target)).sum()) if target.is_floating_point() else target.shape[0]
