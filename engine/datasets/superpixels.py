"""MNIST and CIFAR10 as superpixel graphs (Dwivedi et al., "Benchmarking Graph Neural Networks", 2020).

Features are a superpixel's mean colour and its centroid (3 and 5 numbers). A mirror may hold a compact form
(uint8 colours, centroids in 1/8 pixel): from it the file that PyG's class reads is built, with the published
rule for edges: the 8 nearest neighbours by A_ij = exp(−(‖p_i − p_j‖/σ_p)² − (‖c_i − c_j‖/σ_c)²), σ the mean
distance to the 8 nearest, A made symmetric.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, DatasetSpec, GraphSize, Origin
from engine.defaults import ANY, Defaults

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor
    from torch_geometric.data import Data

    from engine.settings import Settings

NEIGHBOURS = 8
COMPACT = "GNNBenchmark_compact"
FOLDERS = {"mnist-superpixels": "MNIST", "cifar10-superpixels": "CIFAR10"}
SIDES = {"MNIST": 28, "CIFAR10": 32}
"""Pixels an image is wide and high."""
SHARES = (0.8, 0.1, 0.1)
"""Of a compact archive, in the file's order: train, validation, test."""

# As published; a compact archive's are fewer, and are those that are shown once it was loaded.
SIZES = {
    "mnist-superpixels": GraphSize(nodes=4_939_668, edges=39_517_344, features=3, classes=10, graphs=70_000),
    "cifar10-superpixels": GraphSize(nodes=7_058_005, edges=56_464_040, features=5, classes=10, graphs=60_000),
}


class SuperpixelsSpec(DatasetSpec):
    """The superpixel graphs have no options."""

    name: Literal["mnist-superpixels", "cifar10-superpixels"]


def size(spec: SuperpixelsSpec) -> GraphSize:
    return SIZES[spec.name]


def load(spec: SuperpixelsSpec, settings: Settings) -> list[Data]:
    import torch
    from torch_geometric.data import Data
    from torch_geometric.datasets import GNNBenchmarkDataset

    from engine.datasets.archives import provide
    from engine.datasets.published_split import in_split

    name = FOLDERS[spec.name]

    def read(root: Path) -> list[Data]:
        for compact in (root / COMPACT / name).glob("*.npz"):
            build_raw(compact, root / "GNNBenchmark" / name / "raw" / f"{name}_v2.pt", SIDES[name])
        graphs: list[Data] = []
        for split in ("train", "val", "test"):
            for graph in GNNBenchmarkDataset(str(root / "GNNBenchmark"), name, split=split):
                assert isinstance(graph, Data)
                graph.x = torch.cat([graph["x"], graph["pos"]], dim=1)
                graphs.append(in_split(graph, split, 1))
        return graphs

    return provide(spec.name, read, settings)


def build_raw(compact: Path, raw: Path, side: int) -> None:
    """Write the file that GNNBenchmarkDataset loads from a compact one: three lists of graphs as dictionaries."""
    import numpy as np
    import torch

    with np.load(compact, allow_pickle=False) as held:
        counts = torch.from_numpy(held["n"].astype(np.int64)).tolist()
        colours = torch.from_numpy(held["x"]).float().div_(255).split(counts)
        centroids = (torch.from_numpy(held["pos8"]).float() / 8 / side).split(counts)
        labels = held["y"].astype(np.int64).tolist()
    graphs = [
        {**_nearest(colour, centroid), "x": colour, "pos": centroid, "y": torch.tensor([label])}
        for colour, centroid, label in zip(colours, centroids, labels, strict=True)
    ]
    train, val = int(SHARES[0] * len(graphs)), int(SHARES[1] * len(graphs))
    raw.parent.mkdir(parents=True, exist_ok=True)
    torch.save((graphs[:train], graphs[train : train + val], graphs[train + val :]), raw)


def _nearest(colour: Tensor, centroid: Tensor) -> dict[str, Tensor]:
    import torch

    def scaled(distance: Tensor) -> Tensor:
        nearest = distance.topk(NEIGHBOURS + 1, largest=False).values
        return distance / (nearest.sum(1, keepdim=True) / NEIGHBOURS + 1e-8)

    weight = torch.exp(-(scaled(torch.cdist(centroid, centroid)) ** 2) - scaled(torch.cdist(colour, colour)) ** 2)
    weight = ((weight + weight.T) / 2).fill_diagonal_(-1)
    value, target = weight.topk(min(NEIGHBOURS, len(colour) - 1))
    source = torch.arange(len(colour)).repeat_interleave(target.shape[1])
    return {"edge_index": torch.stack([source, target.flatten()]), "edge_attr": value.flatten()}


DEFAULTS = Defaults(
    source="Degree-Quant, MNIST and CIFAR-10",
    training={"batch_size": 128},
    task={"folds": 0},
    models={
        ANY: {"layers": 4},
        "gcn": {"hidden": 146},
        "gat": {"hidden": 19, "heads": 8},
        "gin": {"hidden": 110},
        "agnn": {"layers": 4},
    },
)


def _entry(name: str, summary: str, megabytes: float, split: str) -> Dataset:
    folder = FOLDERS[name]
    return Dataset(
        name=name,
        summary=summary,
        tasks=("graph-classification",),
        metric="accuracy",
        licence="public research data; cite Dwivedi et al. 2020",
        spec=SuperpixelsSpec,
        size=size,
        load=load,
        splits=split,
        origin=Origin(
            f"GNNBenchmark/{folder}", f"https://data.pyg.org/datasets/benchmarking-gnns/{folder}_v2.zip", megabytes
        ),
        defaults={"graph-classification": DEFAULTS},
    )


ENTRIES = [
    _entry("mnist-superpixels", "70,000 digits as graphs of superpixels", 520, "public: 55,000 / 5000 / 10,000 graphs"),
    _entry(
        "cifar10-superpixels", "60,000 photos as graphs of superpixels", 910, "public: 45,000 / 5000 / 10,000 graphs"
    ),
]
