"""Multi-label node classification: any of C labels a node; binary cross entropy, micro-F1 in percent.

Yelp and AmazonProducts are one graph; PPI is a set of graphs, of which the tested ones are never seen in training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.objectives.entry import Objective, TaskSpec, likely, sampled

if TYPE_CHECKING:
    import torch

    from engine.graph import Graph
    from engine.problem import Problem
    from engine.spec import RunSpec


class MultiLabelSpec(TaskSpec):
    """Options of multi-label node classification; they matter where the dataset brings no split of its own."""

    name: Literal["multi-label-node-classification"] = "multi-label-node-classification"
    val: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the nodes that validate, where the dataset brings no split."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of the nodes that test, where the dataset brings no split."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of that split (the run's seed is another)."""


def prepare(task: MultiLabelSpec, graph: Graph, run: RunSpec, device: torch.device) -> Problem:
    from engine.full_batch import node_problem
    from engine.metrics import binary_cross_entropy, micro_f1
    from engine.problem import Measure
    from engine.splits import random_split

    masks = graph.masks or random_split(graph.size.nodes, task.val, task.test, task.split_seed)
    return node_problem(graph, run, device, masks, Measure("micro-F1", "%", True, binary_cross_entropy, micro_f1))


ENTRIES = [
    Objective(
        name="multi-label-node-classification",
        summary="any of several labels a node; binary cross entropy, micro-F1",
        metric="micro-F1",
        unit="%",
        higher_is_better=True,
        spec=MultiLabelSpec,
        prepare=prepare,
        decide=likely,
        expect=sampled,
        samples=True,
    )
]
