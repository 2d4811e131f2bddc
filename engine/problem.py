"""A task on loaded data, as the training loop sees it: batches, a loss, an evaluation; the loop knows no task.

    for batch in problem.batches(epoch):
        outputs = model(batch.x, batch.topology, …)
        loss = problem.loss(outputs, batch)
    losses, scores = problem.evaluate(predict)

Losses and metrics are in fp32 whatever the scheme quantizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from engine.datasets import GraphSize
from engine.layers.operand import Activation
from engine.splits import SPLITS
from engine.topology import Topology

__all__ = ["SPLITS", "Batch", "Measure", "Predict", "Problem", "Values", "View"]

Predict = Callable[[Activation, Topology], Tensor]
"""The model in evaluation mode: node features and a structure → outputs [N, C], or [graphs, C] after a readout."""

Values = dict[str, float | None]


@dataclass(frozen=True)
class Batch:
    """What one training step sees."""

    x: Activation
    topology: Topology
    target: Any
    """What the selected outputs are compared with."""
    select: Tensor | None
    """Which of the outputs carry the loss (a mask, or numbers); None: all."""
    weight: int = 1
    """How many targets the loss is a mean of: the weight of this batch in the epoch's training loss."""


@dataclass(frozen=True)
class Measure:
    """What outputs are judged by: scalars of the (outputs, targets) of a split."""

    metric: str
    unit: str
    higher_is_better: bool
    loss: Callable[[Tensor, Tensor], Tensor]
    score: Callable[[Tensor, Tensor], Tensor]
    scaling: tuple[Tensor, Tensor] | None = None
    """(middle, scale) [T] of standardized targets: a value in the target's unit is output·scale + middle."""


@dataclass(frozen=True)
class View:
    """A part of the dataset as evaluation passes it through the model."""

    x: Activation
    topology: Topology
    places: Tensor | None = None
    """Which of the dataset's outputs (nodes, or graphs) the part's are, int64; None: all, in their order."""


class Problem(Protocol):
    """A task prepared on a dataset for one run."""

    @property
    def size(self) -> GraphSize:
        """What one epoch trains on: nodes, edges and graphs over its batches; ``classes``: the output's width."""
        ...

    @property
    def metric(self) -> str: ...

    @property
    def unit(self) -> str: ...

    @property
    def higher_is_better(self) -> bool: ...

    @property
    def measure(self) -> Measure: ...

    def batches(self, epoch: int) -> Iterator[Batch]:
        """The training batches of an epoch (from 1), in an order hashed from (seed, epoch)."""
        ...

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean loss of a batch, fp32, a scalar with gradient."""
        ...

    def evaluate(self, predict: Predict) -> tuple[Values, Values]:
        """Split → loss, and split → metric in ``unit``; None where a split is empty.

        A score by another name than a split's is one more metric of the test split ("accuracy at ½ (%)").
        """
        ...

    def views(self) -> Iterator[View]:
        """The whole dataset, part by part, as ``evaluate`` passes it; what no split holds comes last."""
        ...
