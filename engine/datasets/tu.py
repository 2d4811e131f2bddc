"""Sets of small graphs of the TU collection (Morris et al., "TUDataset", 2020): molecules, proteins, social graphs.

They bring no split: ten stratified folds, or a hashed 80/10/10, are made by the task.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from engine.datasets.degree_features import DegreeFeaturesSpec
from engine.datasets.entry import Dataset, DatasetSpec, GraphSize, Origin
from engine.defaults import NONE, Defaults
from engine.errors import RunError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch_geometric.data import Data

    from engine.settings import Settings

URL = "https://www.chrsmrrs.com/graphkerneldatasets"
COLLECTION = "public research data; cite Morris et al. 2020"


class LabelledSpec(DatasetSpec):
    """Options of a set whose nodes bear one-hot labels."""

    name: Literal["mutag", "nci1", "dd"]


class AttributedSpec(DatasetSpec):
    """Options of a set whose nodes bear one-hot labels and measured attributes."""

    name: Literal["proteins", "enzymes"]
    node_attributes: bool = False
    """Whether the measured attributes are features beside the one-hot labels; the papers leave them out."""


class RedditBinarySpec(DegreeFeaturesSpec):
    """Options of REDDIT-BINARY: its nodes have no features."""

    name: Literal["reddit-binary"] = "reddit-binary"


class IMDBBinarySpec(DegreeFeaturesSpec):
    """Options of IMDB-BINARY: its nodes have no features."""

    name: Literal["imdb-binary"] = "imdb-binary"
    degree_cap: Annotated[int, Field(ge=1, le=10_000)] = 135
    """Largest in-degree with a one-hot column of its own (135 is the largest there is)."""


class CollabSpec(DegreeFeaturesSpec):
    """Options of COLLAB: its nodes have no features."""

    name: Literal["collab"] = "collab"
    degree_cap: Annotated[int, Field(ge=1, le=10_000)] = 491
    """Largest in-degree with a one-hot column of its own (491 is the largest there is)."""


# Whole sets: nodes, directed edges, one-hot labels, classes, graphs.
SIZES = {
    "mutag": GraphSize(nodes=3371, edges=7442, features=7, classes=2, graphs=188),
    "nci1": GraphSize(nodes=122_747, edges=265_506, features=37, classes=2, graphs=4110),
    "dd": GraphSize(nodes=334_925, edges=1_686_092, features=89, classes=2, graphs=1178),
    "proteins": GraphSize(nodes=43_471, edges=162_088, features=3, classes=2, graphs=1113),
    "enzymes": GraphSize(nodes=19_580, edges=74_564, features=3, classes=6, graphs=600),
    "imdb-binary": GraphSize(nodes=19_773, edges=193_062, features=0, classes=2, graphs=1000),
    "reddit-binary": GraphSize(nodes=859_254, edges=1_991_016, features=0, classes=2, graphs=2000),
    "collab": GraphSize(nodes=372_474, edges=24_574_995, features=0, classes=3, graphs=5000),
}
ATTRIBUTES = {"proteins": 1, "enzymes": 18}


def size(spec: DatasetSpec) -> GraphSize:
    known = SIZES[spec.name]
    if isinstance(spec, DegreeFeaturesSpec):
        return replace(known, features=spec.degree_cap + 1)
    if isinstance(spec, AttributedSpec) and spec.node_attributes:
        return replace(known, features=known.features + ATTRIBUTES[spec.name])
    return known


def load(spec: DatasetSpec, settings: Settings) -> Sequence[Data]:
    from torch_geometric.data import Data
    from torch_geometric.datasets import TUDataset

    from engine.datasets.archives import provide

    attributes = isinstance(spec, AttributedSpec) and spec.node_attributes

    def read(root: Path) -> list[Data]:
        graphs = TUDataset(str(root / "TUDataset"), spec.name.upper(), use_node_attr=attributes)
        if attributes and not graphs.num_node_attributes:
            raise RunError(f"this copy of {spec.name} has no node attributes: leave node_attributes out")
        return [graph for graph in graphs if isinstance(graph, Data)]

    return provide(spec.name, read, settings)


# One fifth of the graphs tests in the thesis; what validates is taken from the rest.
MUTAG = Defaults(source="the thesis", task={"folds": 0, "val": 0.1, "test": 0.2})
REDDIT_BINARY = Defaults(
    source="Degree-Quant, INT8",
    training={
        "epochs": 200, "lr": 0.005, "weight_decay": 2e-4, "batch_size": 128, "lr_step": 50, "lr_factor": 0.5,
    },
    models={"gin": {"layers": 5, "hidden": 64, "train_eps": True, "readout": "mean", "readout_layers": 2}},
)  # fmt: skip


def _entry(
    name: str,
    spec: type[DatasetSpec],
    summary: str,
    megabytes: float,
    caveat: str | None = None,
    defaults: Defaults = NONE,
) -> Dataset:
    return Dataset(
        name=name,
        summary=summary,
        tasks=("graph-classification",),
        metric="accuracy",
        licence=COLLECTION,
        spec=spec,
        size=size,
        load=load,
        splits="none published: made by the task (ten stratified folds, or 80/10/10)",
        caveat=caveat,
        origin=Origin(f"TUDataset/{name.upper()}", URL, megabytes),
        defaults={"graph-classification": defaults},
    )


ENTRIES = [
    _entry("mutag", LabelledSpec, "188 molecules, mutagenic or not; one-hot atom types", 0.1, defaults=MUTAG),
    _entry("proteins", AttributedSpec, "1113 proteins, enzymes or not; one-hot kinds of structure element", 0.5),
    _entry("enzymes", AttributedSpec, "600 enzymes in 6 classes; one-hot kinds of structure element", 0.4),
    _entry("imdb-binary", IMDBBinarySpec, "1000 film casts, action or romance; one-hot in-degrees", 0.2),
    _entry(
        "reddit-binary",
        RedditBinarySpec,
        "2000 discussions, two kinds; one-hot in-degrees, capped",
        2.5,
        defaults=REDDIT_BINARY,
    ),
    _entry("collab", CollabSpec, "5000 researchers' collaborations in 3 fields; one-hot in-degrees", 19),
    _entry("nci1", LabelledSpec, "4110 compounds, active against lung cancer or not; one-hot atom types", 1),
    _entry("dd", LabelledSpec, "1178 protein structures, enzymes or not; one-hot amino acids", 3),
]
