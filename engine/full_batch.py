"""Labels of nodes, all of them in one batch: the whole graph is every step's input."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from engine.graph import Graph
from engine.layers.operand import Constant
from engine.objectives.entry import Objective
from engine.problem import SPLITS, Batch, Predict

Measure = Callable[[Tensor, Tensor], Tensor]
"""A scalar of (outputs, targets) of the selected nodes."""


class FullBatch:
    """Node labels with full-batch training; ``loss`` and ``score`` are functions of a split's outputs and targets."""

    def __init__(
        self, graph: Graph, device: torch.device, *, objective: Objective, loss: Measure, score: Measure
    ) -> None:
        self.size = graph.size
        self.metric, self.unit = objective.metric, objective.unit
        self.higher_is_better = objective.higher_is_better
        self._loss, self._score = loss, score
        self.x = Constant.of(graph.x.to(device))
        self.topology = graph.topology.to(device)
        y = graph.y.to(device)
        self.masks = {split: graph.masks[split].to(device) for split in SPLITS}
        self.targets = {split: y[mask] for split, mask in self.masks.items()}

    def batches(self, epoch: int) -> Iterator[Batch]:
        target = self.targets["train"]
        yield Batch(self.x, self.topology, target, self.masks["train"], weight=target.shape[0])

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        return self._loss(outputs[batch.select], batch.target)

    def evaluate(self, predict: Predict) -> tuple[dict[str, float | None], dict[str, float | None]]:
        outputs = predict(self.x, self.topology)
        losses: dict[str, float | None] = {}
        scores: dict[str, float | None] = {}
        for split, mask in self.masks.items():
            part, target = outputs[mask], self.targets[split]
            losses[split] = self._loss(part, target).item()
            scores[split] = self._score(part, target).item()
        return losses, scores
