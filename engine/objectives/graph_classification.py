"""Single-label graph classification: cross entropy, accuracy in percent, by folds or one split."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from engine.errors import InputError
from engine.graph_targets import DEFAULTS, SplitSpec, expect, split_of
from engine.objectives.entry import Objective, highest

if TYPE_CHECKING:
    import torch

    from engine.graph import Graph
    from engine.problem import Problem
    from engine.spec import RunSpec


class GraphClassificationSpec(SplitSpec):
    """Options of graph classification."""

    name: Literal["graph-classification"] = "graph-classification"
    folds: Annotated[int, Field(ge=0, le=1000)] = 10
    """Parts of a stratified cross-validation; 0: the dataset's own split, or one by the shares val and test."""
    fold: Annotated[int, Field(ge=0)] = 0
    """The part that tests, from 0; the one before it validates."""

    @model_validator(mode="after")
    def _is_a_fold(self) -> GraphClassificationSpec:
        if self.folds in (1, 2):
            raise InputError(
                f"task.folds = {self.folds} is not allowed: one fold tests, one validates and the others train, "
                "so it takes 3 or more, or 0 for a single split"
            )
        if self.fold >= max(self.folds, 1):
            allowed = f"0 to {self.folds - 1}" if self.folds else "0, as there are no folds"
            raise InputError(f"task.fold = {self.fold} is not allowed: it can be {allowed}")
        return self

    @property
    def training_share(self) -> float:
        return (self.folds - 2) / self.folds if self.folds else super().training_share


def prepare(task: GraphClassificationSpec, graph: Graph, run: RunSpec, device: torch.device) -> Problem:
    from engine.graph_batches import GraphBatches
    from engine.metrics import accuracy, cross_entropy
    from engine.problem import Measure
    from engine.splits import stratified_folds

    folds, fold = task.folds, task.fold
    masks = stratified_folds(graph.y, folds, fold, task.split_seed) if folds else split_of(task, graph)
    measure = Measure("accuracy", "%", True, cross_entropy, accuracy)
    return GraphBatches(graph, device, masks, measure, seed=run.seed, batch_size=run.training.batch_size)


ENTRIES = [
    Objective(
        name="graph-classification",
        summary="one label a graph; cross entropy, accuracy; stratified folds or one split",
        metric="accuracy",
        unit="%",
        higher_is_better=True,
        spec=GraphClassificationSpec,
        prepare=prepare,
        decide=highest,
        expect=expect,
        pools=True,
        defaults=DEFAULTS,
        plateau_ratio=0.95,
    )
]
