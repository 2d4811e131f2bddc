"""ZINC-12k: molecules and their penalized logP (Dwivedi et al., "Benchmarking Graph Neural Networks", 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, DatasetSpec, GraphSize, Origin
from engine.defaults import ANY, Defaults

if TYPE_CHECKING:
    from pathlib import Path

    from torch_geometric.data import Data

    from engine.settings import Settings

ATOM_TYPES = 28


class ZINCSpec(DatasetSpec):
    """ZINC-12k has no options."""

    name: Literal["zinc"] = "zinc"


# Nodes and edges of the rebuilt copy; the published one differs by a few in a thousand.
def size(spec: ZINCSpec) -> GraphSize:
    return GraphSize(nodes=277_075, edges=595_900, features=ATOM_TYPES, classes=1, graphs=12_000)


def load(spec: ZINCSpec, settings: Settings) -> list[Data]:
    from torch.nn.functional import one_hot
    from torch_geometric.data import Data
    from torch_geometric.datasets import ZINC

    from engine.datasets.archives import provide
    from engine.datasets.published_split import in_split

    def read(root: Path) -> list[Data]:
        graphs: list[Data] = []
        for split in ("train", "val", "test"):
            for graph in ZINC(str(root / "ZINC"), subset=True, split=split):
                assert isinstance(graph, Data)
                assert graph.x is not None
                graph.x = one_hot(graph.x.flatten(), ATOM_TYPES).float()
                graphs.append(in_split(graph, split, 1))
        return graphs

    return provide(spec.name, read, settings)


DEFAULTS = Defaults(
    source="Degree-Quant's sizes; rate and epochs of A²Q",
    training={"epochs": 200, "lr": 1e-3, "weight_decay": 0.0, "batch_size": 128},
    models={
        ANY: {"layers": 4, "batch_norm": True, "residual": True, "readout_layers": 2, "readout_dropout": 0.0},
        "gcn": {"hidden": 146},
        "gat": {"hidden": 19, "heads": 8},
        "gin": {"hidden": 110, "readout": "sum"},
    },
)

ENTRIES = [
    Dataset(
        name="zinc",
        summary="12,000 molecules and their penalized logP; one-hot atom types, bonds without their types",
        tasks=("graph-regression",),
        metric="MAE",
        licence="public research data; cite Irwin et al. 2012 and Dwivedi et al. 2020",
        spec=ZINCSpec,
        size=size,
        load=load,
        splits="public: 10,000 train, 1000 validate, 1000 test",
        origin=Origin(
            "ZINC",
            "https://raw.githubusercontent.com/graphdeeplearning/benchmarking-gnns/master/data/molecules/train.index",
            210,
            processed="subset/processed",
        ),
        defaults={"graph-regression": DEFAULTS},
    )
]
