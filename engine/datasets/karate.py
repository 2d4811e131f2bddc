"""Zachary's karate club: 34 nodes, written down here, so that the product works with no network, and without PyG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, DatasetSpec, GraphSize

if TYPE_CHECKING:
    from torch import Tensor

    from engine.settings import Settings

FRIENDS = {
    0: (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 17, 19, 21, 31),
    1: (2, 3, 7, 13, 17, 19, 21, 30),
    2: (3, 7, 8, 9, 13, 27, 28, 32),
    3: (7, 12, 13),
    4: (6, 10),
    5: (6, 10, 16),
    6: (16,),
    8: (30, 32, 33),
    9: (33,),
    13: (33,),
    14: (32, 33),
    15: (32, 33),
    18: (32, 33),
    19: (33,),
    20: (32, 33),
    22: (32, 33),
    23: (25, 27, 29, 32, 33),
    24: (25, 27, 31),
    25: (31,),
    26: (29, 33),
    27: (33,),
    28: (31, 33),
    29: (32, 33),
    30: (32, 33),
    31: (32, 33),
    32: (33,),
}
"""Each pair of friends once (Zachary 1977, figure 1)."""
COMMUNITIES = "1111333101311100310101002200200200"
"""Of each member: found by modularity (Brandes et al. 2008), the labels of Kipf and Welling 2017."""
TRAINED_ON = (0, 4, 8, 24)
"""The public split: one member of each community."""


class KarateSpec(DatasetSpec):
    """The karate club has no options."""

    name: Literal["karate"] = "karate"


def size(spec: KarateSpec) -> GraphSize:
    return GraphSize(nodes=34, edges=156, features=34, classes=4)


def load(spec: KarateSpec, settings: Settings) -> dict[str, Tensor]:
    import torch

    pairs = [(member, friend) for member, friends in FRIENDS.items() for friend in friends]
    edges = sorted(pairs + [(friend, member) for member, friend in pairs])
    y = torch.tensor([int(community) for community in COMMUNITIES])
    train = torch.zeros(len(y), dtype=torch.bool)
    train[list(TRAINED_ON)] = True
    # The public split names the four training nodes only: a third of each community's others validates.
    val = torch.zeros_like(train)
    for community in range(4):
        rest = ((y == community) & ~train).nonzero().flatten()
        val[rest[: round(len(rest) / 3)]] = True
    return {
        "x": torch.eye(len(y)),
        "edge_index": torch.tensor(edges).T,
        "y": y,
        "train_mask": train,
        "val_mask": val,
        "test_mask": ~(train | val),
    }


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
