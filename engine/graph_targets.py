"""What the tasks on sets of graphs share: their split, their defaults, and the size of an epoch (no torch needed)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from engine.datasets import GraphSize
from engine.defaults import ANY, Defaults
from engine.errors import InputError
from engine.objectives.entry import TaskSpec, share_of

if TYPE_CHECKING:
    from torch import Tensor

    from engine.graph import Graph
    from engine.spec import RunSpec

READOUT = {
    ANY: {
        "layers": 3,
        "hidden": 64,
        "dropout": 0.0,
        "input_dropout": False,
        "readout": "mean",
        "readout_layers": 1,
    },
    "agnn": {"layers": 4},
    "gat": {"hidden": 8, "attention_dropout": 0.0},
    "gin": {"mlp_layers": 2, "batch_norm": True},
}
"""Three convolutions of 64, the mean of a graph's nodes, one linear layer: the thesis' setting for MUTAG."""


class SplitSpec(TaskSpec):
    """How a set of graphs is parted, where the dataset brings no split of its own."""

    val: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the graphs that validate, where neither folds nor the dataset part them."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the graphs that test, where neither folds nor the dataset part them."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the split or of the folds (the run's seed is another)."""

    @model_validator(mode="after")
    def _leaves_some(self) -> SplitSpec:
        if self.val + self.test >= 1:
            raise InputError(
                f"task.val = {self.val:g} and task.test = {self.test:g} leave nothing to train on: "
                "their sum must be below 1"
            )
        return self

    @property
    def training_share(self) -> float:
        """About what share of the graphs trains."""
        return 1 - self.val - self.test


def expect(task: SplitSpec, size: GraphSize, run: RunSpec) -> GraphSize:
    """An epoch trains on the training graphs, in batches."""
    return share_of(size, task.training_share, run.training.batch_size)


def split_of(task: SplitSpec, graph: Graph) -> dict[str, Tensor]:
    """The dataset's split, else one by the shares."""
    from engine.splits import random_split

    return graph.masks or random_split(graph.size.graphs, task.val, task.test, task.split_seed)


DEFAULTS = Defaults(
    source="the thesis, MUTAG",
    training={"epochs": 250, "lr": 0.01, "weight_decay": 0.0, "batch_size": 128},
    models=READOUT,
)
