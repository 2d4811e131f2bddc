"""What every loaded graph must be, whoever made it: refused with the row, the edge or the class otherwise."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.errors import RunError


def check_graph(
    name: str, x: Tensor, edge_index: Tensor, y: Tensor, graph: Tensor | None, masks: dict[str, Tensor]
) -> None:
    """Raise RunError, one sentence, for what cannot be trained on."""
    nodes = x.shape[0]
    if nodes == 0 or len(y) == 0:
        raise RunError(f"{name} is an empty graph: at least one node with a label is needed")
    if not torch.isfinite(x).all():
        row = int((~torch.isfinite(x)).any(dim=1).nonzero()[0])
        raise RunError(f"the features of {name} hold NaN or infinity in row {row}: mend the data")
    if edge_index.numel() and (int(edge_index.min()) < 0 or int(edge_index.max()) >= nodes):
        outside = ((edge_index < 0) | (edge_index >= nodes)).any(dim=0).nonzero()[0]
        ends = edge_index[:, int(outside)].tolist()
        raise RunError(
            f"edge {int(outside)} of {name}, {ends[0]} → {ends[1]}, names a node there is not: it has {nodes} nodes"
        )
    if graph is not None:
        empty = (torch.bincount(graph) == 0).nonzero()
        if len(empty):
            raise RunError(f"graph {int(empty[0])} of {name} is empty: at least one node is needed")
    for split, mask in masks.items():
        if len(mask) != len(y):
            raise RunError(f"the split {split} of {name} has {len(mask)} rows, but there are {len(y)} labels")
    if y.dim() == 1:
        _check_classes(name, y, masks)


def _check_classes(name: str, y: Tensor, masks: dict[str, Tensor]) -> None:
    for split, mask in masks.items():
        unlabelled = (mask & (y < 0)).nonzero()
        if len(unlabelled):
            row = int(unlabelled[0])
            raise RunError(f"row {row} of {name} is in {split}, but its label {int(y[row])} is out of range: from 0 up")
    if "train" in masks:
        trained = torch.bincount(y[masks["train"]], minlength=int(y.max()) + 1)
        present = torch.bincount(y[y >= 0], minlength=int(y.max()) + 1)
        left_out = ((trained == 0) & (present > 0)).nonzero()
        if len(left_out):
            raise RunError(f"the split of {name} leaves class {int(left_out[0])} out: train has no row of it")
