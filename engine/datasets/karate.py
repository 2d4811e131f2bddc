"""Zachary's karate club: 34 nodes, inside PyG, so that the product works with no network at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, DatasetSpec, GraphSize

if TYPE_CHECKING:
    from torch_geometric.data import Data

    from engine.settings import Settings

VALIDATION = 10
"""Nodes used for validation; the public split names the four training nodes only."""


class KarateSpec(DatasetSpec):
    """The karate club has no options."""

    name: Literal["karate"] = "karate"


def size(spec: KarateSpec) -> GraphSize:
    return GraphSize(nodes=34, edges=156, features=34, classes=4)


def load(spec: KarateSpec, settings: Settings) -> Data:
    import torch
    from torch_geometric.datasets import KarateClub

    data = KarateClub()[0]
    rest = (~data.train_mask).nonzero().flatten()
    # Every third of the other nodes, so that both splits hold all four communities.
    chosen = rest[::3][:VALIDATION]
    data.val_mask = torch.zeros_like(data.train_mask)
    data.val_mask[chosen] = True
    data.test_mask = ~(data.train_mask | data.val_mask)
    return data


ENTRIES = [
    Dataset(
        name="karate",
        summary="friendships in a karate club of 34 members, 4 communities; trains in a second",
        task="node classification",
        metric="accuracy",
        licence="public research data; cite Zachary 1977",
        spec=KarateSpec,
        size=size,
        load=load,
        caveat="20 test nodes: one node is 5 points",
    )
]
