"""A saved model's plan: which layers run on integers, and why the others do not."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from engine.integers.dispatch import Dispatch, dispatch_for
from engine.integers.layers import GCN, GIN, SAGE, Layer, Passed, Weights
from engine.integers.operands import Op, Scratch, Values, values_of
from engine.integers.sites import NoIntegersError
from engine.kernels.finish import CODES, RELU
from engine.layers.gcn import GCNLayer
from engine.layers.gin import GINLayer
from engine.layers.operand import Activation, Constant
from engine.layers.sage import SAGELayer
from engine.layers.stack import Stack
from engine.settings import Settings
from engine.topology import Topology

LAYERS: dict[type[nn.Module], Callable[[nn.Module, str, Weights, Dispatch], Layer]] = {
    GCNLayer: GCN,  # pyright: ignore[reportAssignmentType]
    GINLayer: GIN,  # pyright: ignore[reportAssignmentType]
    SAGELayer: SAGE,  # pyright: ignore[reportAssignmentType]
}


class Plan:
    """The layers of a model, each on integers or as it is."""

    def __init__(self, model: Stack, steps: Sequence[Layer | str]) -> None:
        self.model = model
        self.steps = steps
        """Of each layer: it on integers, or why it is not."""
        self._scratch = Scratch()

    @property
    def integers(self) -> bool:
        """Whether any layer runs on integers."""
        return any(not isinstance(step, str) for step in self.steps)

    def runs(self, topology: Topology) -> bool:
        """Whether a pass over this structure is the plan's: sums of codes have no weights, which a sampled part gives
        its edges, and no nodes have no range."""
        return self.integers and topology.nodes > 0 and topology.plain.weights is None

    @property
    def said(self) -> list[str]:
        """Each layer's way, in words."""
        return [
            f"layer {index + 1}: fp32: {step}" if isinstance(step, str) else f"layer {index + 1}: {step.said}"
            for index, step in enumerate(self.steps)
        ]

    @torch.no_grad()
    def run(self, x: Activation, topology: Topology) -> Tensor:
        """The model's outputs, as ``model(x, topology)`` gives them in evaluation mode."""
        passed: Passed = x if isinstance(x, Constant) else values_of(x)
        last = len(self.steps) - 1
        for index, step in enumerate(self.steps):
            activation = self.model.activation if index < last else None
            if isinstance(step, str):
                taken = passed.tensor() if isinstance(passed, Values) else passed
                out = self.model.layers[index](taken, topology, None)
                passed = values_of(out if activation is None else activation(out))
                continue
            following = self.steps[index + 1] if index < last else ""
            passed = step.run(passed, topology, self._tail(activation, following), self._scratch)
        assert isinstance(passed, Values)
        return passed.tensor().clone()

    def _tail(self, activation: Callable[[Tensor], Tensor] | None, following: Layer | str) -> list[Op]:
        tail: list[Op] = [] if activation is None else [(RELU, None)]
        entry = None if isinstance(following, str) else following.entry
        return tail if entry is None else [*tail, (CODES, entry)]


def plan_of(model: nn.Module, weights: Weights, settings: Settings) -> Plan:
    """The plan of a loaded model, in evaluation mode."""
    assert isinstance(model, Stack)
    return Plan(model, [_step(model, index, layer, weights, settings) for index, layer in enumerate(model.layers)])


def _step(model: Stack, index: int, layer: nn.Module, weights: Weights, settings: Settings) -> Layer | str:
    make = LAYERS.get(type(layer))
    if make is None:
        return f"{type(layer).__name__} has no integer form"
    if model.residual:
        return "its input is added to its output"
    if model.activation not in (None, torch.relu):
        return "its activation is no ReLU"
    if not weights:
        return "its weight is not quantized"
    try:
        return make(layer, f"layers.{index}", weights, dispatch_for(settings))
    except NoIntegersError as error:
        return str(error)
