"""Multi-task graph classification: several yes-or-no labels a graph, some of them missing (PCBA, Tox21).

Missing labels have no loss and count in no metric. The metric is the mean over the tasks that have both classes in
the split, as ogb's evaluator takes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.graph_targets import DEFAULTS, SplitSpec, expect, split_of
from engine.objectives.entry import Objective, likely

if TYPE_CHECKING:
    import torch

    from engine.graph import Graph
    from engine.problem import Problem
    from engine.spec import RunSpec


class MultiTaskSpec(SplitSpec):
    """Options of multi-task graph classification."""

    name: Literal["multi-task-graph-classification"] = "multi-task-graph-classification"
    metric: Literal["roc-auc", "average-precision"] = "roc-auc"
    """What is reported, as the mean over the tasks."""


def prepare(task: MultiTaskSpec, graph: Graph, run: RunSpec, device: torch.device) -> Problem:
    from engine.graph_batches import GraphBatches
    from engine.metrics import binary_cross_entropy, mean_average_precision, mean_roc_auc
    from engine.problem import Measure

    metrics = {"roc-auc": ("ROC-AUC", mean_roc_auc), "average-precision": ("average precision", mean_average_precision)}
    metric, score = metrics[task.metric]
    measure = Measure(metric, "%", True, binary_cross_entropy, score)
    masks, size = split_of(task, graph), run.training.batch_size
    return GraphBatches(graph, device, masks, measure, seed=run.seed, batch_size=size)


ENTRIES = [
    Objective(
        name="multi-task-graph-classification",
        summary="several yes-or-no labels a graph, some missing; binary cross entropy, mean ROC-AUC",
        metric="ROC-AUC",
        unit="%",
        higher_is_better=True,
        spec=MultiTaskSpec,
        prepare=prepare,
        decide=likely,
        expect=expect,
        pools=True,
        defaults=DEFAULTS,
        plateau_ratio=0.95,
    )
]
