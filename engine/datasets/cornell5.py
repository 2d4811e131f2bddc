"""Cornell5: friendships at one university (Lim et al., "Large Scale Learning on Non-Homophilous Graphs", 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, GraphSize, Origin
from engine.datasets.random_split import RandomSplitSpec, by_shares

if TYPE_CHECKING:
    from pathlib import Path

    from torch_geometric.data import Data

    from engine.settings import Settings


class Cornell5Spec(RandomSplitSpec):
    """Options of Cornell5."""

    name: Literal["cornell5"] = "cornell5"


def size(spec: Cornell5Spec) -> GraphSize:
    return GraphSize(nodes=18_660, edges=1_581_554, features=4735, classes=2)


def load(spec: Cornell5Spec, settings: Settings) -> Data:
    from torch_geometric.data import Data
    from torch_geometric.datasets import LINKXDataset

    from engine.datasets.archives import provide

    def read(root: Path) -> Data:
        data = LINKXDataset(str(root / "LINKX"), spec.name)[0]
        assert isinstance(data, Data)
        return data

    data = provide(spec.name, read, settings)
    labels = data["y"]
    data.update(by_shares(len(labels), 0.5, 0.25, spec.split_seed, usable=labels >= 0))
    return data


ENTRIES = [
    Dataset(
        name="cornell5",
        summary="friendships of 18,660 people at one university, 2 classes; one-hot profile fields",
        tasks=("node-classification", "link-prediction"),
        metric="accuracy",
        licence="public research data; cite Traud et al. 2012 and Lim et al. 2021",
        spec=Cornell5Spec,
        size=size,
        load=load,
        splits="none published; as Lim et al.: 50/25/25 % of the labelled nodes, by split_seed",
        origin=Origin(
            "LINKX/cornell5", "https://github.com/CUAI/Non-Homophily-Large-Scale/raw/master/data/facebook100", 3.6
        ),
    )
]
