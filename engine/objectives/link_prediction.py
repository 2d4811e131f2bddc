"""Link prediction ("edge prediction"): is there an edge between two nodes? ROC-AUC, and accuracy at probability ½.

An encoder gives each node a vector; a pair's score is the dot product of its two (Kipf & Welling, "Variational
Graph Auto-Encoders", 2016, without the variational part).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from engine.datasets import GraphSize
from engine.defaults import ANY, Defaults
from engine.errors import InputError, RunError
from engine.objectives.entry import Objective, TaskSpec, likely

if TYPE_CHECKING:
    import torch

    from engine.graph import Graph
    from engine.problem import Problem
    from engine.spec import RunSpec


class LinkPredictionSpec(TaskSpec):
    """Options of link prediction."""

    name: Literal["link-prediction"] = "link-prediction"
    width: Annotated[int, Field(ge=1, le=4096)] = 64
    """Width of the nodes' vectors, the encoder's output."""
    val: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of the edges that validate."""
    test: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Share of the edges that test."""
    split_seed: Annotated[int, Field(ge=-1, lt=2**31)] = -1
    """Seed of the split; −1: the run's seed, so that each seed has a split of its own."""

    @model_validator(mode="after")
    def _leaves_some(self) -> LinkPredictionSpec:
        if self.val + self.test >= 1:
            raise InputError(
                f"task.val = {self.val:g} and task.test = {self.test:g} leave no edge to train on: "
                "their sum must be below 1"
            )
        return self


def prepare(task: LinkPredictionSpec, graph: Graph, run: RunSpec, device: torch.device) -> Problem:
    from engine.links import LinkPrediction, split_links

    if graph.graph is not None:
        raise RunError(f"{run.dataset.name} is a set of graphs: link prediction takes one graph")
    seed = run.seed if task.split_seed < 0 else task.split_seed
    split = split_links(graph.edge_index, graph.size.nodes, task.val, task.test, seed)
    return LinkPrediction(graph, device, split, width=task.width, seed=run.seed)


def expect(task: LinkPredictionSpec, size: GraphSize, run: RunSpec) -> GraphSize:
    """Messages go along the training edges only; the output is the nodes' vectors."""
    share = 1 - task.val - task.test
    return replace(size, edges=round(size.edges * share), classes=task.width)


ENTRIES = [
    Objective(
        name="link-prediction",
        summary="is there an edge between two nodes; dot products of node vectors, ROC-AUC",
        metric="ROC-AUC",
        unit="%",
        higher_is_better=True,
        spec=LinkPredictionSpec,
        prepare=prepare,
        decide=likely,
        pairs=True,
        expect=expect,
        defaults=Defaults(
            source="the thesis: an encoder 128 → 64",
            training={"epochs": 150, "lr": 0.01, "weight_decay": 0.0},
            models={
                ANY: {"hidden": 128, "dropout": 0.0, "input_dropout": False},
                "gat": {"hidden": 16, "attention_dropout": 0.0},
            },
        ),
    )
]
