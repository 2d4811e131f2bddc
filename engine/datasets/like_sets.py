"""Look-alikes of sets of graphs, ``like:mutag(factor=2)``: as many graphs, nodes, edges, features and outputs.

Each graph has a hidden kind, which its nodes' features and its targets follow, so that training learns. See
engine.datasets.like for look-alikes of single graphs.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from engine.datasets.entry import Dataset, DatasetSpec, GraphSize
from engine.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch_geometric.data import Data

    from engine.settings import Settings

LEAST_GRAPHS = 20
"""For a class, and in all: ten folds need ten."""
KINDS = 8
"""Hidden kinds of graphs where the targets are no classes."""
SPREAD = 0.5
"""σ of the log-normal sizes of the graphs."""
SPARSE = 0.3
"""Share of a graph's pairs that are edges up to which degrees have a tail; above it there is no room for one."""


class LikeSetSpec(DatasetSpec):
    """What is scaled and how it is drawn; equal options give an equal set."""

    factor: Annotated[float, Field(gt=0, le=100)] = 1.0
    """How many times the original's graphs, nodes and edges."""
    tail: Annotated[float, Field(ge=0, le=3)] = 0.5
    """σ of the log-normal expected degrees within a graph."""
    signal: Annotated[float, Field(ge=0, le=100)] = 1.0
    """Distance of a kind's mean features from the origin, in standard deviations of the noise."""
    graph_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the graphs (the run's seed is another)."""


def class_sizes(nodes: int, classes: int) -> list[int]:
    """How many nodes each class has: in proportion to 1/√rank, rounded so that they sum up."""
    shares = [rank**-0.5 for rank in range(1, classes + 1)]
    ends, total = [0], 0.0
    for share in shares:
        total += share
        ends.append(round(nodes * total / sum(shares)))
    return [stop - start for start, stop in pairwise(ends)]


def single(kind: Tensor, size: GraphSize, table: Callable[[int, int], Tensor]) -> Tensor:
    """One label a graph: its kind."""
    return kind


def several(kind: Tensor, size: GraphSize, table: Callable[[int, int], Tensor]) -> Tensor:
    """Yes or no a task, [G, T]: a row of random answers a kind."""
    return (table(KINDS, size.classes)[kind] < 0.5).float()


def numbers(kind: Tensor, size: GraphSize, table: Callable[[int, int], Tensor]) -> Tensor:
    """Numbers in [−1, 1] a graph, [G, T]: random ones a kind."""
    return table(KINDS, size.classes)[kind] * 2 - 1


TARGETS = {
    "graph-classification": single,
    "multi-task-graph-classification": several,
    "graph-regression": numbers,
    "multi-label-node-classification": None,
}
"""By the task: the targets of graphs of these kinds; None: each node has labels of its own."""


def make_set(original: Dataset) -> Dataset:
    """The look-alike of a set of graphs."""
    name = f"like:{original.name}"
    whole = original.size(original.spec(name=original.name))
    targets = TARGETS[original.tasks[0]]

    def size(spec: LikeSetSpec) -> GraphSize:
        nodes, graphs = round(whole.nodes * spec.factor), round(whole.graphs * spec.factor)
        least = min(class_sizes(graphs, whole.classes)) if targets is single else graphs
        if least < LEAST_GRAPHS and spec.factor < 1:
            raise InputError(
                f"{name}(factor={spec.factor:g}) is too small: {least} graphs "
                f"{'in the smallest class' if targets is single else 'in all'}, {LEAST_GRAPHS} are needed; "
                "take a larger factor"
            )
        return replace(whole, nodes=nodes, edges=2 * round(whole.edges * spec.factor / 2), graphs=graphs)

    def load(spec: LikeSetSpec, settings: Settings) -> Data:
        return draw_set(spec, size(spec), targets)

    class Spec(LikeSetSpec):
        @model_validator(mode="after")
        def _size(self) -> Spec:
            size(self)
            return self

    return replace(
        original,
        name=name,
        summary=f"generated look-alike of {original.name}: its size, nothing of its content (synthetic)",
        licence="generated here",
        spec=Spec,
        size=size,
        load=load,
        splits="made by the task" if targets else "generated: 60 % of the graphs train, 20 % validate",
        about=None,
        caveat=f"generated in the size of {original.name}: results say nothing about {original.name}",
        synthetic=True,
        origin=None,
        packages=(),
    )


def draw_set(spec: LikeSetSpec, size: GraphSize, targets: Callable[..., Tensor] | None) -> Data:
    """The set of these options and exactly this size."""
    import torch
    from torch_geometric.data import Data

    from engine.kernels.planted import plant_edges, plant_features
    from engine.randomness import Key, make_key, stream_id, uniform

    def key(use: str) -> Key:
        return make_key(spec.graph_seed, stream_id(f"like/{use}"), 0)

    def normal(use: str, *shape: int) -> Tensor:
        return torch.special.ndtri(uniform(key(use), shape).double().add_(2.0**-25))

    shares = torch.exp(normal("sizes", size.graphs) * SPREAD).cumsum(0)
    ends = (shares / shares[-1] * (size.nodes - 2 * size.graphs)).round().long()
    sizes = torch.diff(ends, prepend=torch.zeros(1, dtype=torch.int64)) + 2
    graph = torch.repeat_interleave(torch.arange(size.graphs), sizes)
    others = (sizes[graph] - 1).double()

    mean = size.edges / size.nodes
    weights = others
    if mean < SPARSE * float(others.mean()):
        weights = torch.exp(normal("degree", size.nodes) * spec.tail).mul_(mean).minimum(others / 2)
    edge_index = plant_edges(
        weights,
        graph,
        torch.arange(size.nodes),
        sizes,
        homophily=1.0,
        key=key("edges"),
        pairs=size.edges // 2,
        confined=True,
    )

    by_graph = targets is not None
    count = size.graphs if by_graph else size.nodes
    kinds = size.classes if targets in (single, None) else KINDS
    kind = torch.empty(count, dtype=torch.int64)
    order = uniform(key("label"), (count,)).argsort(stable=True)
    kind[order] = torch.repeat_interleave(torch.arange(kinds), torch.tensor(class_sizes(count, kinds)))
    centres = (normal("centres", kinds, size.features) * (spec.signal / size.features**0.5)).float()
    x = plant_features(kind[graph] if by_graph else kind, centres, key("features"))
    if targets is not None:
        y = targets(kind, size, lambda *shape: uniform(key("targets"), shape))
        return Data(x=x, edge_index=edge_index, y=y, graph=graph)
    y = torch.zeros(count, size.classes).scatter_(1, (kind.unsqueeze(1) + torch.arange(3)) % size.classes, 1)
    share = (graph.double() + 0.5) / size.graphs
    train, val = share < 0.6, (share >= 0.6) & (share < 0.8)
    return Data(x=x, edge_index=edge_index, y=y, graph=graph, train_mask=train, val_mask=val, test_mask=~(train | val))
