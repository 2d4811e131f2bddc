"""QM9: molecules of up to nine heavy atoms and 19 computed properties (Ramakrishnan et al. 2014; MoleculeNet)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import field_validator

from engine.datasets.entry import Dataset, GraphSize, Origin
from engine.datasets.random_split import RandomSplitSpec, by_counts
from engine.defaults import Defaults
from engine.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from torch_geometric.data import Data

    from engine.settings import Settings

GRAPHS = 130_831
TRAIN, VAL = 110_000, 10_000
TARGETS = (
    ("mu, the dipole moment", "D"),
    ("alpha, the isotropic polarizability", "a0^3"),
    ("the HOMO's energy", "eV"),
    ("the LUMO's energy", "eV"),
    ("the gap between HOMO and LUMO", "eV"),
    ("<R^2>, the electronic spatial extent", "a0^2"),
    ("the zero-point vibrational energy", "eV"),
    ("U0, the internal energy at 0 K", "eV"),
    ("U, the internal energy at 298.15 K", "eV"),
    ("H, the enthalpy at 298.15 K", "eV"),
    ("G, the free energy at 298.15 K", "eV"),
    ("c_v, the heat capacity at 298.15 K", "cal/(mol K)"),
    ("U0_ATOM, the atomization energy at 0 K", "eV"),
    ("U_ATOM, the atomization energy at 298.15 K", "eV"),
    ("H_ATOM, the atomization enthalpy at 298.15 K", "eV"),
    ("G_ATOM, the atomization free energy at 298.15 K", "eV"),
    ("A, a rotational constant", "GHz"),
    ("B, a rotational constant", "GHz"),
    ("C, a rotational constant", "GHz"),
)
"""Name and unit, in PyG's order."""


class QM9Spec(RandomSplitSpec):
    """Options of QM9."""

    name: Literal["qm9"] = "qm9"
    target: int = 0
    """Which property is predicted, 0 to 18:
    0 dipole moment, 1 polarizability, 4 HOMO-LUMO gap, 7 U0, 11 heat capacity …"""

    @field_validator("target")
    @classmethod
    def _known(cls, value: int) -> int:
        if not 0 <= value < len(TARGETS):
            known = "; ".join(f"{index} {name} [{unit}]" for index, (name, unit) in enumerate(TARGETS))
            raise InputError(f"qm9 has no target {value}. Allowed: {known}")
        return value


def size(spec: QM9Spec) -> GraphSize:
    return GraphSize(nodes=2_359_210, edges=4_883_516, features=11, classes=1, graphs=GRAPHS)


def load(spec: QM9Spec, settings: Settings) -> list[Data]:
    from torch_geometric.data import Data
    from torch_geometric.datasets import QM9

    from engine.datasets.archives import provide

    def read(root: Path) -> list[Data]:
        return [graph for graph in QM9(str(root / "QM9")) if isinstance(graph, Data)]

    graphs = provide(spec.name, read, settings)
    masks = by_counts(len(graphs), TRAIN, VAL, spec.split_seed)
    for index, graph in enumerate(graphs):
        graph.y = graph["y"][:, spec.target : spec.target + 1]
        graph.update({name: mask[index : index + 1] for name, mask in masks.items()})
    return graphs


def label(spec: QM9Spec) -> str:
    name, unit = TARGETS[spec.target]
    return f"target {spec.target}: {name}, in {unit}"


ENTRIES = [
    Dataset(
        name="qm9",
        summary="130,831 small molecules and 19 computed properties, one of them predicted",
        tasks=("graph-regression",),
        metric="MAE",
        licence="CC BY 4.0; cite Ramakrishnan et al. 2014",
        spec=QM9Spec,
        size=size,
        load=load,
        about=label,
        splits="none published: 110,000 train, 10,000 validate, the rest test, by split_seed",
        origin=Origin("QM9", "https://data.pyg.org/datasets/qm9_v3.zip", 290),
        defaults={"graph-regression": Defaults(source="the thesis, QM9", training={"epochs": 300, "lr": 0.001})},
    )
]
