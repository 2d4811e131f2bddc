"""What an objective is (no torch needed to list it)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from engine.datasets import GraphSize
from engine.defaults import NONE, Defaults

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from engine.graph import Graph
    from engine.problem import Problem
    from engine.spec import RunSpec


class TaskSpec(BaseModel):
    """A task and its options; each entry's own class adds fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    name: str


def whole(task: TaskSpec, size: GraphSize, run: RunSpec) -> GraphSize:
    """An epoch trains on all of the graph."""
    return size


def sampled(task: TaskSpec, size: GraphSize, run: RunSpec) -> GraphSize:
    """An epoch trains on the batches of ``training.batching``."""
    from engine.models import MODELS
    from engine.sampling import BATCHINGS

    batching = run.training.parsed_batching
    return BATCHINGS[batching.name].expect(batching, size, MODELS[run.model.name].layers(run.model))


def highest(outputs: Tensor) -> Tensor:
    """The class of the highest score: [n, C] → int64 [n]."""
    return outputs.argmax(dim=1)


def likely(outputs: Tensor) -> Tensor:
    """Which scores lie above 0 (probability ½): 0 or 1, int64 of the outputs' shape."""
    return (outputs > 0).long()


def as_given(outputs: Tensor) -> Tensor:
    """The outputs themselves: numbers in the target's unit."""
    return outputs


@dataclass(frozen=True)
class Objective:
    """A catalogue entry: what a task reports, its defaults, and how it is prepared on a graph for a run.

    The selection rule is one for all: the epoch of the best validation metric, the last one where there is none.
    """

    name: str
    summary: str
    metric: str
    unit: str
    higher_is_better: bool
    spec: type[TaskSpec]
    prepare: Callable[[Any, Graph, RunSpec, torch.device], Problem]
    decide: Callable[[Tensor], Tensor]
    """What the outputs (of nodes, graphs or pairs) say: labels, or numbers."""
    expect: Callable[[Any, GraphSize, RunSpec], GraphSize] = whole
    """What an epoch will train on, told from the dataset's size without loading it."""
    pools: bool = False
    """Whether an output is a graph's, so that the architecture needs a readout."""
    pairs: bool = False
    """Whether what is told is of pairs of nodes, by the dot products of the outputs."""
    samples: bool = False
    """Whether one graph's nodes can be trained in batches (``training.batching``)."""
    defaults: Defaults = NONE
    plateau_ratio: float = 0.90
    """θ of ADQ: the ratio of training losses above which they have stopped falling (METHODS §8)."""

    @property
    def label(self) -> str:
        """The name in words."""
        return self.name.replace("-", " ")


def share_of(size: GraphSize, share: float, batch_size: int) -> GraphSize:
    """The size of a share of a set's graphs, in batches (``batch_size`` 0: one)."""
    graphs = max(1, round(size.graphs * share))
    degrees = size.degrees and tuple((degree, round(count * share)) for degree, count in size.degrees)
    return replace(
        size,
        nodes=max(1, round(size.nodes * share)),
        edges=max(1, round(size.edges * share)),
        graphs=graphs,
        degrees=degrees,
        batches=-(-graphs // (batch_size or graphs)),
    )
