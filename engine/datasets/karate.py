"""Zachary's karate club: 34 nodes, inside PyG, so that the product works with no network at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, DatasetSpec, GraphSize

if TYPE_CHECKING:
    from torch_geometric.data import Data

    from engine.settings import Settings


class KarateSpec(DatasetSpec):
    """The karate club has no options."""

    name: Literal["karate"] = "karate"


def size(spec: KarateSpec) -> GraphSize:
    return GraphSize(nodes=34, edges=156, features=34, classes=4)


def load(spec: KarateSpec, settings: Settings) -> Data:
    import torch
    from torch_geometric.data import Data
    from torch_geometric.datasets import KarateClub

    data = KarateClub()[0]
    assert isinstance(data, Data)
    # The public split names the four training nodes only: a third of each community's others validates.
    data.val_mask = torch.zeros_like(data.train_mask)
    for community in range(4):
        rest = ((data.y == community) & ~data.train_mask).nonzero().flatten()
        data.val_mask[rest[: round(len(rest) / 3)]] = True
    data.test_mask = ~(data.train_mask | data.val_mask)
    return data


ENTRIES = [
    Dataset(
        name="karate",
        summary="friendships in a karate club of 34 members, 4 communities; trains in a second",
        tasks=("node-classification", "link-prediction"),
        metric="accuracy",
        licence="public research data; cite Zachary 1977",
        spec=KarateSpec,
        size=size,
        load=load,
        splits="the public 4 train; a third of each community's others validate, the rest test",
        caveat="20 test nodes: one node is 5 points",
    )
]
