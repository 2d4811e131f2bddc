"""PPI: protein interactions in 24 human tissues, 121 labels a node, tested on tissues never seen (inductive)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, DatasetSpec, GraphSize, Origin
from engine.defaults import ANY, Defaults

if TYPE_CHECKING:
    from pathlib import Path

    from torch_geometric.data import Data

    from engine.settings import Settings


class PPISpec(DatasetSpec):
    """PPI has no options."""

    name: Literal["ppi"] = "ppi"


def size(spec: PPISpec) -> GraphSize:
    return GraphSize(nodes=56_944, edges=1_587_264, features=50, classes=121, graphs=24)


def load(spec: PPISpec, settings: Settings) -> list[Data]:
    from torch_geometric.data import Data
    from torch_geometric.datasets import PPI

    from engine.datasets.archives import provide
    from engine.datasets.published_split import in_split

    def read(root: Path) -> list[Data]:
        graphs: list[Data] = []
        for split in ("train", "val", "test"):
            for graph in PPI(str(root / "PPI"), split=split):
                assert isinstance(graph, Data)
                assert graph.num_nodes is not None
                graphs.append(in_split(graph, split, graph.num_nodes))
        return graphs

    return provide(spec.name, read, settings)


DEFAULTS = Defaults(
    source="the thesis, PPI",
    training={"epochs": 100, "lr": 0.005, "weight_decay": 0.0},
    models={
        ANY: {"dropout": 0.0, "input_dropout": False},
        "gat": {"layers": 3, "hidden": 256, "heads": 4, "output_heads": 6, "attention_dropout": 0.0},
    },
    plateau_ratio=0.95,
)

ENTRIES = [
    Dataset(
        name="ppi",
        summary="24 tissues' protein interactions, 121 labels a node, tested on other tissues than trained on",
        tasks=("multi-label-node-classification",),
        metric="micro-F1",
        licence="public research data; cite Zitnik and Leskovec 2017",
        spec=PPISpec,
        size=size,
        load=load,
        splits="public: 20 graphs train, 2 validate, 2 test",
        origin=Origin("PPI", "https://data.dgl.ai/dataset/ppi.zip", 23),
        defaults={"multi-label-node-classification": DEFAULTS},
    )
]
