"""From a dataset's spec to tensors that train: checked, fingerprinted, with its statistics."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.datasets import DATASETS, DatasetSpec, GraphSize
from engine.datasets.archives import caveat
from engine.errors import RunError
from engine.settings import Settings


@dataclass(frozen=True)
class Graph:
    """One graph with its splits: x [N, F] float32, edge_index [2, E] int64, y [N], masks [N] bool."""

    x: Tensor
    edge_index: Tensor
    y: Tensor
    masks: dict[str, Tensor]
    """"train", "val", "test"."""
    size: GraphSize
    provenance: dict[str, Any]
    """Name, fingerprint, statistics, caveats."""


def fingerprint(*tensors: Tensor) -> str:
    """SHA-256 (16 hex digits) over the bytes of the tensors, in order."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def load_graph(spec: DatasetSpec, settings: Settings) -> Graph:
    """Load a dataset. Raises RunError in one sentence where it cannot be had or holds non-finite values."""
    entry = DATASETS[spec.name]
    data = entry.load(spec, settings)
    x, edge_index, y = data.x, data.edge_index, data.y
    assert isinstance(x, Tensor)
    assert isinstance(edge_index, Tensor)
    assert isinstance(y, Tensor)
    x = x.float().contiguous()
    if not torch.isfinite(x).all():
        raise RunError(f"the features of {spec.name} hold NaN or infinity: mend the data")
    masks = {name: data[f"{name}_mask"] for name in ("train", "val", "test")}
    size = GraphSize(x.shape[0], edge_index.shape[1], x.shape[1], int(y.max()) + 1)
    notes = [note for note in (entry.caveat, caveat(spec.name, settings)) if note]
    provenance = {
        "dataset": spec.name,
        "dataset_label": f"{spec.name} (synthetic)" if entry.synthetic else spec.name,
        "synthetic": entry.synthetic,
        "caveat": "; ".join(notes) or None,
        "fingerprint": fingerprint(x, edge_index, y, *masks.values()),
        "nodes": size.nodes,
        "edges": size.edges,
        "features": size.features,
        "classes": size.classes,
        **{f"{name}_nodes": int(mask.sum()) for name, mask in masks.items()},
    }
    return Graph(x, edge_index, y, masks, size, provenance)
