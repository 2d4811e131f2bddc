"""Look-alikes: generated graphs of another dataset's size, ``like:reddit(factor=0.1)``; synthetic wherever shown.

The same number of nodes, edges (an even one, as each is there both ways), features and classes, the first two
scaled by ``factor``; undirected without loops or repeated edges; log-normal expected degrees, and homophily, so
that training learns. Nothing of the original's content: for time, memory and behaviour at its size, never for its
accuracy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, model_validator

from engine.catalogue import Family
from engine.datasets.entry import Dataset, DatasetSpec, GraphSize
from engine.datasets.like_sets import class_sizes, make_set
from engine.errors import InputError

if TYPE_CHECKING:
    from torch_geometric.data import Data

    from engine.settings import Settings

LEAST_A_CLASS = 5
"""Nodes of the smallest class: each split then has one."""
LABELS = {"node-classification": 1, "multi-label-node-classification": 3}
"""Labels of a node, by the task: its class, and the classes that follow."""


class LikeSpec(DatasetSpec):
    """What is scaled and how it is drawn; equal options give an equal graph."""

    factor: Annotated[float, Field(gt=0, le=100)] = 1.0
    """How many times the original's nodes and edges (the mean degree stays)."""
    tail: Annotated[float, Field(ge=0, le=3)] = 1.2
    """σ of the log-normal expected degrees: at 1.2 the largest is 30 to 90 times the mean, as in real graphs."""
    homophily: Annotated[float, Field(ge=0, le=1)] = 0.75
    """Probability that an edge is drawn within its class."""
    signal: Annotated[float, Field(ge=0, le=100)] = 4.0
    """Distance of a class's mean features from the origin, in standard deviations of the noise."""
    train: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Share of each class that trains."""
    val: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """Share of each class that validates; the rest tests."""
    graph_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the graph (the run's seed is another)."""

    @model_validator(mode="after")
    def _splits(self) -> LikeSpec:
        if self.train + self.val >= 1:
            raise InputError(
                f"{self.name} has no test nodes: train + val = {self.train + self.val:g}; it should be less than 1"
            )
        return self


def scaled(name: str, original: GraphSize, factor: float) -> GraphSize:
    """The size of a look-alike. Raises InputError where that is too small, or too dense, for a graph with classes."""
    nodes, pairs = round(original.nodes * factor), round(original.edges * factor / 2)
    least = min(class_sizes(nodes, original.classes))
    if least < LEAST_A_CLASS:
        raise InputError(
            f"{name}(factor={factor:g}) is too small: {nodes} nodes in {original.classes} classes leave "
            f"{max(least, 0)} to the smallest, {LEAST_A_CLASS} are needed; take a larger factor"
        )
    if pairs > nodes * (nodes - 1) // 4:
        raise InputError(
            f"{name}(factor={factor:g}) is too dense: {2 * pairs} edges between {nodes} nodes are more than half "
            f"of the possible ones; take a larger factor"
        )
    return GraphSize(nodes, 2 * pairs, original.features, original.classes)


def make(original: Dataset) -> Dataset:
    """The look-alike of a dataset. Raises InputError for a person's own files, whose size only they tell."""
    name = f"like:{original.name}"
    labels = LABELS.get(original.tasks[0])
    if original.own_files:
        raise InputError(f"there is no look-alike of {original.name}, whose size the files tell: take a dataset's name")
    if labels is None or original.size(original.spec(name=original.name)).graphs > 1:
        return make_set(original)

    def size(spec: LikeSpec) -> GraphSize:
        return scaled(name, original.size(original.spec(name=original.name)), spec.factor)

    def load(spec: LikeSpec, settings: Settings) -> Data:
        return draw(spec, size(spec), labels)

    class Spec(LikeSpec):
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
        splits="generated: 60 % of each class train, 20 % validate, unless the options say otherwise",
        about=None,
        caveat=f"generated in the size of {original.name}: accuracies say nothing about {original.name}",
        synthetic=True,
        origin=None,
        packages=(),
    )


def draw(spec: LikeSpec, size: GraphSize, labels: int = 1) -> Data:
    """The graph of these options and exactly this size; ``labels`` a node."""
    import torch
    from torch_geometric.data import Data

    from engine.kernels.planted import plant_edges, plant_features
    from engine.randomness import Key, make_key, stream_id, uniform

    def key(use: str) -> Key:
        return make_key(spec.graph_seed, stream_id(f"like/{use}"), 0)

    sizes = torch.tensor(class_sizes(size.nodes, size.classes))
    in_order = torch.repeat_interleave(torch.arange(size.classes), sizes)
    members = torch.argsort(uniform(key("label"), (size.nodes,)), stable=True)
    label = torch.empty(size.nodes, dtype=torch.int64)
    label[members] = in_order

    normal = torch.special.ndtri(uniform(key("degree"), (size.nodes,)).double().add_(2.0**-25))
    expected = torch.exp(normal * spec.tail)
    # No node wants more than a quarter of all others, so that each finds as many as it wants.
    expected = expected.div_(expected.mean()).clamp_(max=max(1.0, size.nodes**2 / (4 * max(size.edges, 1))))
    edge_index = plant_edges(
        expected, label, members, sizes, homophily=spec.homophily, key=key("edges"), pairs=size.edges // 2
    )

    sign = (uniform(key("centres"), (size.classes, size.features)) < 0.5).float().mul_(2).sub_(1)
    centres = sign.mul_(spec.signal / size.features**0.5)
    x = plant_features(label, centres, key("features"))

    # Members come in random order within their class: the first ones of each train.
    starts = sizes.cumsum(0) - sizes
    place = (torch.arange(size.nodes) - starts[in_order]).double() + 0.5
    share = torch.empty(size.nodes, dtype=torch.float64)
    share[members] = place / sizes[in_order]
    train, val = share < spec.train, (share >= spec.train) & (share < spec.train + spec.val)
    y = label
    if labels > 1:
        several = (label.unsqueeze(1) + torch.arange(labels)) % size.classes
        y = torch.zeros(size.nodes, size.classes).scatter_(1, several, 1)
    return Data(x=x, edge_index=edge_index, y=y, train_mask=train, val_mask=val, test_mask=~(train | val))


FAMILIES = [Family("like", "generated look-alike of the dataset after the colon, of any size (synthetic)", make)]
