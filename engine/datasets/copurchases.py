"""Amazon's co-purchases and a co-author graph (Shchur et al., "Pitfalls of GNN Evaluation", 2018)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, GraphSize, Origin
from engine.datasets.random_split import RandomSplitSpec, by_class
from engine.datasets.row_sums import RowSumsSpec

if TYPE_CHECKING:
    from pathlib import Path

    from torch_geometric.data import Data

    from engine.settings import Settings

URL = "https://github.com/shchur/gnn-benchmark/raw/master/data/npz/"
TRAIN, VAL = 20, 30
"""Nodes a class."""

SIZES = {
    "amazon-computers": GraphSize(nodes=13_752, edges=491_722, features=767, classes=10),
    "amazon-photo": GraphSize(nodes=7650, edges=238_162, features=745, classes=8),
    "coauthor-cs": GraphSize(nodes=18_333, edges=163_788, features=6805, classes=15),
}
FOLDERS = {"amazon-computers": "Amazon/Computers", "amazon-photo": "Amazon/Photo", "coauthor-cs": "Coauthor/CS"}


class CopurchaseSpec(RowSumsSpec, RandomSplitSpec):
    """Options of the Amazon and co-author graphs."""

    name: Literal["amazon-computers", "amazon-photo", "coauthor-cs"]


def size(spec: CopurchaseSpec) -> GraphSize:
    return SIZES[spec.name]


def load(spec: CopurchaseSpec, settings: Settings) -> Data:
    from torch_geometric.data import Data
    from torch_geometric.datasets import Amazon, Coauthor
    from torch_geometric.transforms import NormalizeFeatures

    from engine.datasets.archives import provide

    family, name = FOLDERS[spec.name].split("/")
    loader = {"Amazon": Amazon, "Coauthor": Coauthor}[family]
    transform = NormalizeFeatures() if spec.normalize_features else None

    def read(root: Path) -> Data:
        data = loader(str(root / (family if family == "Amazon" else FOLDERS[spec.name])), name, transform=transform)[0]
        assert isinstance(data, Data)
        return data

    data = provide(spec.name, read, settings)
    data.update(by_class(data["y"], TRAIN, VAL, spec.split_seed))
    return data


def _entry(name: str, summary: str, megabytes: float) -> Dataset:
    return Dataset(
        name=name,
        summary=summary,
        tasks=("node-classification", "link-prediction"),
        metric="accuracy",
        licence="public research data; cite Shchur et al. 2018",
        spec=CopurchaseSpec,
        size=size,
        load=load,
        splits="none published; as Shchur et al.: 20 nodes a class train, 30 validate, the rest test, by split_seed",
        origin=Origin(FOLDERS[name], URL, megabytes),
    )


ENTRIES = [
    _entry("amazon-computers", "computers bought together, 10 categories; words of their reviews", 3.6),
    _entry("amazon-photo", "photo equipment bought together, 8 categories; words of its reviews", 1.9),
    _entry("coauthor-cs", "computer scientists who wrote together, 15 fields; keywords of their papers", 4.1),
]
