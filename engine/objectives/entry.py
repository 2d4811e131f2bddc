"""What an objective is (no torch needed to list it)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import torch

    from engine.graph import Graph
    from engine.problem import Problem
    from engine.spec import RunSpec


class TaskSpec(BaseModel):
    """A task and its options; each entry's own class adds fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: str


@dataclass(frozen=True)
class Objective:
    """A catalogue entry: what a task reports, and how it is prepared on a graph for a run."""

    name: str
    summary: str
    metric: str
    unit: str
    higher_is_better: bool
    spec: type[TaskSpec]
    prepare: Callable[[Any, Graph, RunSpec, torch.device], Problem]
    plateau_ratio: float = 0.90
    """θ of ADQ: the ratio of training losses above which they have stopped falling (METHODS §8)."""
