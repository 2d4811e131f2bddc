"""Single-label node classification: cross entropy, accuracy in percent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.objectives.entry import Objective

if TYPE_CHECKING:
    from torch import Tensor


def loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean cross entropy of class scores [n, C] and labels [n]."""
    from torch.nn.functional import cross_entropy

    return cross_entropy(outputs.float(), targets)


def score(outputs: Tensor, targets: Tensor) -> Tensor:
    """Share of the nodes whose highest score is their label, in percent."""
    return (outputs.argmax(dim=1) == targets).double().mean() * 100


ENTRIES = [
    Objective(
        name="node classification",
        summary="one label a node; cross entropy, accuracy",
        metric="accuracy",
        unit="%",
        higher_is_better=True,
        loss=loss,
        score=score,
    )
]
