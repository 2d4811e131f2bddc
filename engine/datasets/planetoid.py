"""Cora, CiteSeer, PubMed: citation graphs with the public splits of Yang et al., ICML 2016."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, GraphSize, Origin
from engine.datasets.row_sums import RowSumsSpec

if TYPE_CHECKING:
    from pathlib import Path

    from torch_geometric.data import Data

    from engine.settings import Settings

SIZES = {
    "cora": GraphSize(nodes=2708, edges=10556, features=1433, classes=7),
    "citeseer": GraphSize(nodes=3327, edges=9104, features=3703, classes=6),
    "pubmed": GraphSize(nodes=19717, edges=88648, features=500, classes=3),
}
URL = "https://github.com/kimiyoung/planetoid/raw/master/data"
FOLDERS = {"cora": "Cora", "citeseer": "CiteSeer", "pubmed": "PubMed"}


class PlanetoidSpec(RowSumsSpec):
    """Options of the citation graphs."""

    name: Literal["cora", "citeseer", "pubmed"]


def size(spec: PlanetoidSpec) -> GraphSize:
    return SIZES[spec.name]


def load(spec: PlanetoidSpec, settings: Settings) -> Data:
    from torch_geometric.data import Data
    from torch_geometric.datasets import Planetoid
    from torch_geometric.transforms import NormalizeFeatures

    from engine.datasets.archives import provide

    transform = NormalizeFeatures() if spec.normalize_features else None

    def read(root: Path) -> Data:
        data = Planetoid(str(root / "Planetoid"), FOLDERS[spec.name], transform=transform)[0]
        assert isinstance(data, Data)
        return data

    return provide(spec.name, read, settings)


def _entry(name: str, subject: str, megabytes: float) -> Dataset:
    return Dataset(
        name=name,
        summary=subject,
        tasks=("node-classification", "link-prediction"),
        metric="accuracy",
        licence="public research data; cite Sen et al. 2008 and Yang et al. 2016",
        spec=PlanetoidSpec,
        size=size,
        load=load,
        splits="public: 20 nodes a class train, 500 validate, 1000 test",
        origin=Origin(f"Planetoid/{FOLDERS[name]}", URL, megabytes),
    )


ENTRIES = [
    _entry("cora", "citations between machine-learning papers, 7 topics", 0.6),
    _entry("citeseer", "citations between computer-science papers, 6 topics", 0.9),
    _entry("pubmed", "citations between papers on diabetes, 3 types", 8),
]
