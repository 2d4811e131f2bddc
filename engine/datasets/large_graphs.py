"""Large graphs with features, labels and public splits: Reddit, and those of GraphSAINT (Zeng et al., ICLR 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, DatasetSpec, GraphSize, Origin

if TYPE_CHECKING:
    from pathlib import Path

    from torch_geometric.data import Data

    from engine.settings import Settings

DRIVE = "https://drive.usercontent.google.com/download"

SIZES = {
    "reddit": GraphSize(nodes=232_965, edges=114_615_892, features=602, classes=41),
    "flickr": GraphSize(nodes=89_250, edges=899_756, features=500, classes=7),
    "yelp": GraphSize(nodes=716_847, edges=13_954_819, features=300, classes=100),
    "amazon-products": GraphSize(nodes=1_569_960, edges=264_339_468, features=200, classes=107),
}
CLASSES = {"reddit": "Reddit", "flickr": "Flickr", "yelp": "Yelp", "amazon-products": "AmazonProducts"}
"""The names of PyG's classes, and of their folders here."""


class LargeGraphSpec(DatasetSpec):
    """The large graphs have no options."""

    name: Literal["reddit", "flickr", "yelp", "amazon-products"]


def size(spec: LargeGraphSpec) -> GraphSize:
    return SIZES[spec.name]


def load(spec: LargeGraphSpec, settings: Settings) -> Data:
    from torch_geometric import datasets
    from torch_geometric.data import Data

    from engine.datasets.archives import provide

    def read(root: Path) -> Data:
        data = getattr(datasets, CLASSES[spec.name])(str(root / CLASSES[spec.name]))[0]
        assert isinstance(data, Data)
        return data

    return provide(spec.name, read, settings)


def _entry(name: str, summary: str, url: str, megabytes: float, licence: str, splits: str, tasks, metric) -> Dataset:
    return Dataset(
        name=name,
        summary=summary,
        tasks=tasks,
        metric=metric,
        licence=licence,
        spec=LargeGraphSpec,
        size=size,
        load=load,
        splits=splits,
        origin=Origin(CLASSES[name], url, megabytes),
    )


SINGLE = (("node-classification", "link-prediction"), "accuracy")
MULTI = (("multi-label-node-classification", "link-prediction"), "micro-F1")
SAINT = "public research data; cite Zeng et al. 2020"

ENTRIES = [
    _entry(
        "reddit",
        "posts linked where the same people commented, 41 communities",
        "https://data.dgl.ai/dataset/reddit.zip",
        1290,
        "public research data; cite Hamilton et al. 2017",
        "public, by day: 66 % train, 10 % validate, 24 % test",
        *SINGLE,
    ),
    _entry("flickr", "images that share properties, 7 kinds", DRIVE, 190, SAINT, "public: 50/25/25 %", *SINGLE),
    _entry("yelp", "friends among reviewers, 100 labels each", DRIVE, 970, SAINT, "public: 75/10/15 %", *MULTI),
    _entry(
        "amazon-products",
        "products bought by the same people, 107 labels each",
        DRIVE,
        2660,
        SAINT,
        "public: 85/5/10 %",
        *MULTI,
    ),
]
