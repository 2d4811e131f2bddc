"""A generated planted partition (stochastic block model) with class-dependent sparse features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from engine.datasets.entry import Dataset, DatasetSpec, GraphSize
from engine.errors import InputError
from engine.form_marks import BASIC

if TYPE_CHECKING:
    from torch import Tensor

    from engine.settings import Settings


class SBMSpec(DatasetSpec):
    """Sizes of the generated graph; equal options give an equal graph."""

    name: Literal["sbm"] = "sbm"
    nodes: Annotated[int, Field(ge=20, le=10_000_000, json_schema_extra=BASIC)] = 1000
    """Nodes, spread evenly over the classes."""
    classes: Annotated[int, Field(ge=2, le=1000)] = 4
    """Planted communities."""
    features: Annotated[int, Field(ge=2, le=100_000)] = 128
    """Width of the node features."""
    words: Annotated[int, Field(ge=1, le=10_000)] = 10
    """Non-zero features a node (drawn with replacement)."""
    signal: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Probability that a word is from the class's own share of the features."""
    degree: Annotated[float, Field(gt=0, le=10_000)] = 8.0
    """Mean number of neighbours."""
    homophily: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Probability that an edge stays within its class."""
    train_per_class: Annotated[int, Field(ge=1)] = 20
    """Training nodes a class; a fifth of the others validates, the rest tests."""
    graph_seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the graph (the run's seed is another)."""

    @model_validator(mode="after")
    def _consistent(self) -> SBMSpec:
        if self.features < self.classes:
            raise InputError(
                f"sbm needs at least one feature a class: features = {self.features}, classes = {self.classes}"
            )
        if self.nodes < self.classes * (self.train_per_class + 5):
            raise InputError(
                f"sbm is too small for its split: {self.classes} classes with {self.train_per_class} training nodes "
                f"each need at least {self.classes * (self.train_per_class + 5)} nodes, not {self.nodes}"
            )
        return self


def size(spec: SBMSpec) -> GraphSize:
    """Edges are the expected number before repeated ones are merged."""
    return GraphSize(spec.nodes, 2 * round(spec.nodes * spec.degree / 2), spec.features, spec.classes)


def load(spec: SBMSpec, settings: Settings) -> dict[str, Tensor]:
    import numpy as np
    import torch

    draw = np.random.default_rng(spec.graph_seed)
    label = draw.permutation(np.arange(spec.nodes) % spec.classes)
    members = [np.flatnonzero(label == c) for c in range(spec.classes)]

    count = round(spec.nodes * spec.degree / 2)
    source = draw.integers(0, spec.nodes, count)
    target = draw.integers(0, spec.nodes, count)
    inside = draw.random(count) < spec.homophily
    for c in range(spec.classes):
        chosen = np.flatnonzero(inside & (label[source] == c))
        target[chosen] = draw.choice(members[c], chosen.size)
    apart = source != target
    source, target = source[apart], target[apart]
    # Both directions, each edge once, by source and then by target.
    place = np.unique(np.concatenate([source * spec.nodes + target, target * spec.nodes + source]))
    edges = np.stack(np.divmod(place, spec.nodes))

    share = spec.features // spec.classes
    word = draw.integers(0, spec.features, (spec.nodes, spec.words))
    own = label[:, None] * share + draw.integers(0, share, (spec.nodes, spec.words))
    word = np.where(draw.random((spec.nodes, spec.words)) < spec.signal, own, word)
    x = np.zeros((spec.nodes, spec.features), np.float32)
    np.put_along_axis(x, word, 1.0, axis=1)
    x /= x.sum(axis=1, keepdims=True)

    split = np.full(spec.nodes, 2)
    for c in range(spec.classes):
        order = draw.permutation(members[c])
        split[order[: spec.train_per_class]] = 0
        rest = order[spec.train_per_class :]
        split[rest[: max(1, len(rest) // 5)]] = 1
    train, val, test = (torch.from_numpy(split == part) for part in range(3))
    return {
        "x": torch.from_numpy(x),
        "edge_index": torch.from_numpy(edges),
        "y": torch.from_numpy(label.astype(np.int64)),
        "train_mask": train,
        "val_mask": val,
        "test_mask": test,
    }


ENTRIES = [
    Dataset(
        name="sbm",
        summary="generated planted partition with class-dependent sparse features (synthetic)",
        tasks=("node-classification", "link-prediction"),
        metric="accuracy",
        licence="generated here",
        spec=SBMSpec,
        size=size,
        load=load,
        splits="drawn with the graph: train_per_class a class, a fifth of the rest validate, the others test",
        synthetic=True,
    )
]
