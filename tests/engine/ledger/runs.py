"""A small graph with dense features, and one training step on it, for the ledger's tests against live runs."""

from __future__ import annotations

from typing import Any

import torch

from engine.graph import Graph, _size
from engine.objectives import OBJECTIVES
from engine.problem import Problem
from engine.spec import RunSpec
from engine.trainer import Trainer


def small_graph(nodes: int = 60, pairs: int = 150, features: int = 24, classes: int = 3) -> Graph:
    """Random, undirected, without self-loops."""
    generator = torch.Generator().manual_seed(0)
    ends = torch.randint(nodes, (2, pairs), generator=generator)
    ends = ends[:, ends[0] != ends[1]]
    edge_index = torch.cat([ends, ends.flip(0)], 1).unique(dim=1)
    x = torch.randn(nodes, features, generator=generator)
    y = torch.arange(nodes) % classes
    train = torch.rand(nodes, generator=generator) < 0.4
    masks = {"train": train, "val": ~train, "test": ~train}
    return Graph(x, edge_index, y, None, masks, _size(x, edge_index, y, None), {})


def trained(scheme: str, graph: Graph, **model: Any) -> tuple[RunSpec, Problem, Trainer]:
    """One epoch of a run on this graph."""
    spec = RunSpec.parse({"dataset": "cora", "model": model, "scheme": scheme, "task": "node-classification"})
    problem, trainer = prepared(spec, graph)
    trainer.epoch(1)
    return spec, problem, trainer


def prepared(spec: RunSpec, graph: Graph) -> tuple[Problem, Trainer]:
    """A run before its first epoch."""
    device = torch.device("cpu")
    problem = OBJECTIVES[spec.task.name].prepare(spec.task, graph, spec, device)
    return problem, Trainer(spec, problem, device)
