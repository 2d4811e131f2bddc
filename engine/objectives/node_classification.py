"""Single-label node classification: cross entropy, accuracy in percent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.objectives.entry import Objective, TaskSpec

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from engine.graph import Graph
    from engine.problem import Problem
    from engine.spec import RunSpec


class NodeClassificationSpec(TaskSpec):
    """Single-label node classification has no options."""

    name: Literal["node classification"] = "node classification"


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy of class scores [n, C] and labels [n]."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(outputs.float(), targets)


def score(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of the nodes whose highest score is their label, in percent."""
    return (outputs.argmax(dim=1) == targets).double().mean() * 100


def prepare(task: NodeClassificationSpec, graph: Graph, run: RunSpec, device: torch.device) -> Problem:
    from engine.full_batch import FullBatch

    return FullBatch(graph, device, objective=ENTRIES[0], loss=loss, score=score)


ENTRIES = [
    Objective(
        name="node classification",
        summary="one label a node; cross entropy, accuracy",
        metric="accuracy",
        unit="%",
        higher_is_better=True,
        spec=NodeClassificationSpec,
        prepare=prepare,
    )
]
