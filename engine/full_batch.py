"""Labels of nodes, all of them in one batch: the whole graph is every step's input."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from engine.graph import Graph
from engine.layers.operand import Constant
from engine.models import MODELS
from engine.problem import SPLITS, Batch, Measure, Predict, Problem, Values, View
from engine.sampling import BATCHINGS
from engine.spec import RunSpec


class FullBatch:
    """Node labels with full-batch training, on one graph. ``masks``: split → bool [N]."""

    def __init__(self, graph: Graph, device: torch.device, masks: Mapping[str, Tensor], measure: Measure) -> None:
        self.size = graph.size
        self.metric, self.unit = measure.metric, measure.unit
        self.higher_is_better = measure.higher_is_better
        self.measure = measure
        self.x = graph.features if device.type == "cpu" else Constant.of(graph.x.to(device))
        self.topology = graph.topology.to(device)
        y = graph.y.to(device)
        self.masks = {split: masks[split].to(device) for split in SPLITS}
        self.targets = {split: y[mask] for split, mask in self.masks.items()}

    def batches(self, epoch: int) -> Iterator[Batch]:
        target = self.targets["train"]
        yield Batch(self.x, self.topology, target, self.masks["train"], weight=target.shape[0])

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return self.measure.loss(outputs[batch.select], batch.target)

    def evaluate(self, predict: Predict) -> tuple[Values, Values]:
        outputs = predict(self.x, self.topology)
        losses: Values = {}
        scores: Values = {}
        for split, mask in self.masks.items():
            losses[split], scores[split] = judged(self.measure, outputs[mask], self.targets[split])
        return losses, scores

    def views(self) -> Iterator[View]:
        yield View(self.x, self.topology)


def judged(measure: Measure, outputs: Tensor, targets: Tensor) -> tuple[float | None, float | None]:
    """Loss and metric of a split; None for an empty one."""
    if not targets.numel():
        return None, None
    return measure.loss(outputs, targets).item(), measure.score(outputs, targets).item()


def node_problem(
    graph: Graph, run: RunSpec, device: torch.device, masks: Mapping[str, Tensor], measure: Measure
) -> Problem:
    """Labels of nodes: of one graph, the whole of it a step; of a set of graphs, some of them a step (inductive)."""
    from engine.graph_batches import GraphBatches

    if graph.graph is None:
        batching = run.training.parsed_batching
        make = BATCHINGS[batching.name].make
        if make is None:
            return FullBatch(graph, device, masks, measure)
        from engine.node_batches import NodeBatches

        rounds = MODELS[run.model.name].layers(run.model)
        sampler = make(batching, graph.topology, graph.size, masks["train"], rounds, run.seed)
        return NodeBatches(graph, device, masks, measure, sampler)
    size = run.training.batch_size
    return GraphBatches(graph, device, masks, measure, seed=run.seed, batch_size=size, by_node=True)
