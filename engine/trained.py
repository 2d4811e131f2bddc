"""What a run leaves: the model of its best epoch, with the live scheme as it then was."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from engine.datasets import GraphSize
from engine.events import EpochFinished
from engine.live import LiveScheme, bind
from engine.models import MODELS
from engine.spec import RunSpec


@dataclass(frozen=True)
class TrainedModel:
    """Parameters, and the ranges, formats and learned bits that evaluation used, after one epoch."""

    spec: RunSpec
    size: GraphSize
    """What the run trained on; features and classes are the model's width at both ends."""
    epoch: int
    quantized: bool
    """False: the scheme was switched off in this epoch."""
    model: dict[str, Tensor]
    live: dict[str, Any]
    scaling: tuple[Tensor, Tensor] | None = None
    """(middle, scale) [T] of a target that was standardized: a value is output·scale + middle."""

    def build(self) -> tuple[nn.Module, LiveScheme]:
        """The fake-quantized model and its live scheme, in evaluation mode, on the CPU."""
        model, live = bare_model(self.spec, self.size)
        model.load_state_dict(self.model)
        live.load_state_dict(self.live)
        live.enabled = self.quantized
        return model.eval(), live.eval()


def bare_model(spec: RunSpec, size: GraphSize) -> tuple[nn.Module, LiveScheme]:
    """A spec's model and live scheme, bound, whose parameters are still to be set."""
    model = MODELS[spec.model.name].build(spec.model, size)
    return model, bind(spec.parsed_scheme, model, nodes=size.nodes, seed=spec.seed)


class BestModel:
    """Keeps the model of the best epoch so far: a copy is made where an epoch is better than all before it.

    The rule is ``engine.training.best_of``'s: the first epoch of the best validation metric among those that count,
    the last one where nothing validates.
    """

    def __init__(self, *, higher_is_better: bool) -> None:
        self.higher_is_better = higher_is_better
        self._kept: dict[str, Any] = {}

    @property
    def value(self) -> float | None:
        """The best validation metric so far; None where nothing validates, or nothing was heard."""
        return self._kept.get("value")

    def after(self, row: EpochFinished, model: nn.Module, live: LiveScheme) -> None:
        """Hear an evaluated epoch, before anything changes for the next one."""
        if not row.counts or not self._improves(row.val_metric):
            return
        self._kept = {
            "epoch": row.epoch,
            "value": row.val_metric,
            "quantized": live.enabled,
            "model": _copied(model.state_dict()),
            "live": _copied(live.state_dict()),
        }

    def _improves(self, value: float | None) -> bool:
        best = self._kept.get("value")
        if best is None:
            return True
        return value is not None and (value > best if self.higher_is_better else value < best)

    def trained(self, spec: RunSpec, size: GraphSize, scaling: tuple[Tensor, Tensor] | None) -> TrainedModel:
        """The best epoch's model; one epoch that counts must have been heard."""
        found = dict(self._kept)
        del found["value"]
        return TrainedModel(spec, size, scaling=scaling, **found)

    def state(self) -> dict[str, Any]:
        return dict(self._kept)

    def restore(self, state: Mapping[str, Any]) -> None:
        self._kept = dict(state)


def _copied(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state dict on the CPU that training does not change."""
    return {
        name: value.detach().to("cpu", copy=True) if isinstance(value, torch.Tensor) else copy.deepcopy(value)
        for name, value in state.items()
    }
