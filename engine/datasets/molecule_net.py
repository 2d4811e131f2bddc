"""MoleculeNet (Wu et al., 2018): molecules as SMILES texts, read by RDKit; labels of several tasks, some missing."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

from engine.datasets.entry import Dataset, GraphSize, Origin
from engine.datasets.random_split import RandomSplitSpec, by_shares
from engine.defaults import NONE, Defaults

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor
    from torch_geometric.data import Data

    from engine.settings import Settings

URL = "https://deepchemdata.s3-us-west-1.amazonaws.com/datasets/"
INTEGERS, ONE_HOT = 9, 177
"""Features an atom: nine properties, or as many one-hot columns as these have values."""

# Molecules that RDKit 2026.9 can read, their atoms, directed bonds, tasks.
SETS = {
    "esol": (1128, 14_991, 30_856, 1),
    "freesolv": (642, 5600, 10_770, 1),
    "lipo": (4200, 113_568, 247_798, 1),
    "bbbp": (2039, 49_068, 105_842, 1),
    "bace": (1513, 51_577, 111_536, 1),
    "sider": (1427, 48_006, 100_912, 27),
    "clintox": (1487, 38_990, 83_146, 2),
    "tox21": (7823, 145_256, 301_802, 12),
    "pcba": (437_929, 11_373_137, 24_618_372, 128),
}


class MoleculeNetSpec(RandomSplitSpec):
    """Options of a set of molecules."""

    name: Literal["esol", "freesolv", "lipo", "bbbp", "bace", "sider", "clintox", "tox21"]
    one_hot: bool = True
    """Whether each of an atom's nine properties is one-hot (177 columns in all), or a number."""


class PCBASpec(RandomSplitSpec):
    """Options of PCBA."""

    name: Literal["pcba"] = "pcba"
    one_hot: bool = False
    """Whether each of an atom's nine properties is one-hot (177 columns: 8 GB), or a number."""


def size(spec: MoleculeNetSpec | PCBASpec) -> GraphSize:
    graphs, nodes, edges, tasks = SETS[spec.name]
    features = ONE_HOT if spec.one_hot else INTEGERS
    return GraphSize(nodes=nodes, edges=edges, features=features, classes=tasks, graphs=graphs)


def load(spec: MoleculeNetSpec | PCBASpec, settings: Settings) -> list[Data]:
    from torch_geometric.data import Data
    from torch_geometric.datasets import MoleculeNet

    from engine.datasets.archives import provide

    def read(root: Path) -> list[Data]:
        with warnings.catch_warnings():
            # PyG warns of each text that RDKit cannot read; the number that is left is in the statistics.
            warnings.filterwarnings("ignore", message="Skipping molecule")
            found = MoleculeNet(str(root / "MoleculeNet"), spec.name)
        return [graph for graph in found if isinstance(graph, Data)]

    graphs = provide(spec.name, read, settings)
    masks = by_shares(len(graphs), 0.8, 0.1, spec.split_seed)
    for index, graph in enumerate(graphs):
        if spec.one_hot:
            graph.x = one_hot_atoms(graph["x"])
        graph.update({name: mask[index : index + 1] for name, mask in masks.items()})
    return graphs


def one_hot_atoms(properties: Tensor) -> Tensor:
    """PyG's nine integer properties of each atom [N, 9] as one-hot columns, float32 [N, 177]."""
    import torch
    from torch_geometric.utils.smiles import x_map

    widths = torch.tensor([len(values) for values in x_map.values()])
    columns = properties + (widths.cumsum(0) - widths)
    return torch.zeros(len(properties), int(widths.sum())).scatter_(1, columns, 1.0)


def _entry(
    name: str,
    summary: str,
    megabytes: float,
    task: str,
    metric: str,
    spec: type[RandomSplitSpec] = MoleculeNetSpec,
    defaults: Defaults = NONE,
) -> Dataset:
    return Dataset(
        name=name,
        summary=summary,
        tasks=(task,),
        metric=metric,
        licence="public research data; cite Wu et al. 2018",
        spec=spec,
        size=size,
        load=load,
        splits="80/10/10 % at random, by split_seed",
        origin=Origin(f"MoleculeNet/{name}", URL, megabytes),
        packages=("rdkit",),
        defaults={task: defaults},
    )


REGRESSION = ("graph-regression", "MAE")
TASKS = ("multi-task-graph-classification", "ROC-AUC")

ENTRIES = [
    _entry("esol", "1128 compounds and their solubility in water, log(mol/L)", 0.1, *REGRESSION),
    _entry("freesolv", "642 compounds and their hydration free energy, kcal/mol", 0.1, *REGRESSION),
    _entry("lipo", "4200 compounds and their lipophilicity, logD", 0.2, *REGRESSION),
    _entry("bbbp", "2039 compounds, able to enter the brain or not", 0.2, *TASKS),
    _entry("bace", "1513 compounds, inhibitors of an enzyme or not", 0.8, *TASKS),
    _entry("sider", "1427 drugs and 27 kinds of side effects", 0.2, *TASKS),
    _entry("clintox", "1487 drugs: approved or not, toxic in trials or not", 0.1, *TASKS),
    _entry("tox21", "7823 compounds and 12 measures of toxicity, some missing", 0.3, *TASKS),
    _entry(
        "pcba",
        "437,929 compounds and 128 bioassays, most missing",
        40,
        "multi-task-graph-classification",
        "average precision",
        PCBASpec,
        Defaults(source="ogb's metric for PCBA", task={"metric": "average-precision"}),
    ),
]
