"""Single-label node classification: cross entropy, accuracy in percent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.objectives.entry import Objective, TaskSpec, highest, sampled

if TYPE_CHECKING:
    import torch

    from engine.graph import Graph
    from engine.problem import Problem
    from engine.spec import RunSpec


class NodeClassificationSpec(TaskSpec):
    """Options of single-label node classification; they matter where the dataset brings no split of its own."""

    name: Literal["node-classification"] = "node-classification"
    train_per_class: Annotated[int, Field(ge=1)] = 20
    """Training nodes a class, where the dataset brings no split."""
    val_per_class: Annotated[int, Field(ge=1)] = 30
    """Validation nodes a class, where the dataset brings no split; all others test (Shchur et al., 2018)."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of that split (the run's seed is another)."""


def prepare(task: NodeClassificationSpec, graph: Graph, run: RunSpec, device: torch.device) -> Problem:
    from engine.full_batch import node_problem
    from engine.metrics import accuracy, cross_entropy
    from engine.problem import Measure
    from engine.splits import per_class_split

    masks = graph.masks or per_class_split(graph.y, task.train_per_class, task.val_per_class, task.split_seed)
    return node_problem(graph, run, device, masks, Measure("accuracy", "%", True, cross_entropy, accuracy))


ENTRIES = [
    Objective(
        name="node-classification",
        summary="one label a node; cross entropy, accuracy",
        metric="accuracy",
        unit="%",
        higher_is_better=True,
        spec=NodeClassificationSpec,
        prepare=prepare,
        decide=highest,
        expect=sampled,
        samples=True,
    )
]
