"""ogbn-arxiv: citations between arXiv's computer-science papers, split by year (Hu et al., NeurIPS 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, DatasetSpec, GraphSize, Origin

if TYPE_CHECKING:
    from pathlib import Path

    from torch_geometric.data import Data

    from engine.settings import Settings


class OGBNArxivSpec(DatasetSpec):
    """Options of ogbn-arxiv."""

    name: Literal["ogbn-arxiv"] = "ogbn-arxiv"
    undirected: bool = True
    """Whether a citation links both ways, as all leaderboard entries have it."""


def size(spec: OGBNArxivSpec) -> GraphSize:
    edges = 2_315_598 if spec.undirected else 1_166_243
    return GraphSize(nodes=169_343, edges=edges, features=128, classes=40)


def load(spec: OGBNArxivSpec, settings: Settings) -> Data:
    import torch
    from torch_geometric.data import Data
    from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
    from torch_geometric.data.storage import GlobalStorage
    from torch_geometric.utils import to_undirected

    from engine.datasets.archives import provide

    def read(root: Path) -> Data:
        from ogb.nodeproppred import PygNodePropPredDataset

        # ogb 1.3.6 leaves torch.load's weights_only at its default, which knows PyG's classes only if told.
        with torch.serialization.safe_globals([Data, DataEdgeAttr, DataTensorAttr, GlobalStorage]):
            dataset = PygNodePropPredDataset(spec.name, root=str(root))
        data, parts = dataset[0], dataset.get_idx_split()
        assert isinstance(data, Data)
        assert isinstance(parts, dict)
        for split, name in (("train", "train"), ("valid", "val"), ("test", "test")):
            mask = torch.zeros(len(data["x"]), dtype=torch.bool)
            members = parts[split]
            assert isinstance(members, torch.Tensor)
            mask[members] = True
            data[f"{name}_mask"] = mask
        return data

    data = provide(spec.name, read, settings)
    data.y = data["y"].flatten()
    if spec.undirected:
        data.edge_index = to_undirected(data["edge_index"], num_nodes=data.num_nodes)
    return data


ENTRIES = [
    Dataset(
        name="ogbn-arxiv",
        summary="169,343 computer-science papers and their citations, 40 subjects; averaged word vectors",
        tasks=("node-classification", "link-prediction"),
        metric="accuracy",
        licence="ODC-BY; cite Hu et al. 2020",
        spec=OGBNArxivSpec,
        size=size,
        load=load,
        splits="public, by year: to 2017 train, 2018 validate, from 2019 test",
        origin=Origin("ogbn_arxiv", "http://snap.stanford.edu/ogb/data/nodeproppred/arxiv.zip", 81),
        packages=("ogb",),
    )
]
