"""Graph regression: numbers a graph; mean absolute error in the target's own unit, lower is better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.graph_targets import DEFAULTS, SplitSpec, expect, split_of
from engine.objectives.entry import Objective, as_given

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from engine.graph import Graph
    from engine.problem import Problem
    from engine.spec import RunSpec


class GraphRegressionSpec(SplitSpec):
    """Options of graph regression."""

    name: Literal["graph-regression"] = "graph-regression"
    loss: Literal["absolute", "squared"] = "absolute"
    """What training minimizes: the mean absolute or the mean squared error."""
    standardize: bool = False
    """Whether the model learns targets with the training graphs' mean 0 and deviation 1; the metric keeps the unit."""


def prepare(task: GraphRegressionSpec, graph: Graph, run: RunSpec, device: torch.device) -> Problem:
    import torch

    from engine.graph_batches import GraphBatches
    from engine.metrics import mean_absolute_error, mean_squared_error
    from engine.problem import Measure

    masks = split_of(task, graph)
    targets = graph.y.float().reshape(graph.size.graphs, -1)
    error = {"absolute": mean_absolute_error, "squared": mean_squared_error}[task.loss]
    middle, scale = _standard(targets[masks["train"]], device) if task.standardize else (0.0, 1.0)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return error(outputs, (targets - middle) / scale)

    def score(outputs: Tensor, targets: Tensor) -> Tensor:
        return mean_absolute_error(outputs.float() * scale + middle, targets)

    scaling = (middle, scale) if isinstance(middle, torch.Tensor) and isinstance(scale, torch.Tensor) else None
    measure = Measure("MAE", "", False, loss, score, scaling)
    size = run.training.batch_size
    return GraphBatches(graph, device, masks, measure, seed=run.seed, batch_size=size, targets=targets)


def _standard(targets: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each column [n, T], missing ones left out; 1 for a constant column."""
    middle = targets.nanmean(0)
    scale = (targets - middle).square().nanmean(0).sqrt()
    return middle.to(device), scale.where(scale > 0, 1.0).to(device)


ENTRIES = [
    Objective(
        name="graph-regression",
        summary="numbers a graph; mean absolute error, lower is better",
        metric="MAE",
        unit="",
        higher_is_better=False,
        spec=GraphRegressionSpec,
        prepare=prepare,
        decide=as_given,
        expect=expect,
        pools=True,
        defaults=DEFAULTS,
        plateau_ratio=0.95,
    )
]
