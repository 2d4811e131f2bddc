"""From a dataset's spec to tensors that train: checked, fingerprinted, with its statistics."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import torch
from torch import Tensor

from engine.datasets import DATASETS, DatasetSpec, GraphSize
from engine.datasets.archives import caveat
from engine.datasets.known_size import keep_size, kept_file
from engine.errors import RunError
from engine.settings import Settings
from engine.topology import Topology

SPLITS = ("train", "val", "test")
KEPT_FORM = 1
"""Changes whenever a loader's result does: older kept copies are then passed over."""


@dataclass(frozen=True)
class Graph:
    """One graph with its splits: x [N, F] float32, topology, y [N], masks [N] bool."""

    x: Tensor
    topology: Topology
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
    tensors = _load_tensors(spec, settings)
    x, edge_index, y = tensors["x"], tensors["edge_index"], tensors["y"]
    if not torch.isfinite(x).all():
        raise RunError(f"the features of {spec.name} hold NaN or infinity: mend the data")
    masks = {split: tensors[f"{split}_mask"] for split in SPLITS}
    topology = Topology(edge_index, x.shape[0])
    size = GraphSize(x.shape[0], edge_index.shape[1], x.shape[1], int(y.max()) + 1, topology.degree_counts)
    keep_size(spec, settings, size)
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
        **{f"{split}_nodes": int(mask.sum()) for split, mask in masks.items()},
    }
    return Graph(x, topology, y, masks, size, provenance)


def _load_tensors(spec: DatasetSpec, settings: Settings) -> dict[str, Tensor]:
    """The dataset's tensors: from the kept copy, else by its loader.

    Importing torch_geometric takes longer than a short run trains, so what a loader gave is kept beside
    the data, under a name that its options and PyG's version are part of.
    """
    entry = DATASETS[spec.name]
    if entry.synthetic:
        return _from_loader(spec, settings)
    form = f" torch_geometric {metadata.version('torch_geometric')} form {KEPT_FORM}"
    kept = kept_file(spec, settings, ".pt", form)
    with contextlib.suppress(OSError, EOFError, RuntimeError, pickle.UnpicklingError):
        return torch.load(kept, weights_only=True)
    tensors = _from_loader(spec, settings)
    # Without a kept copy (a read-only folder, a full disk) the next start is slower, and nothing else.
    with contextlib.suppress(OSError, RuntimeError):
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}.part")
        torch.save(tensors, part)
        part.replace(kept)
    return tensors


def _from_loader(spec: DatasetSpec, settings: Settings) -> dict[str, Tensor]:
    data = DATASETS[spec.name].load(spec, settings)
    tensors = {name: data[name] for name in ("x", "edge_index", "y", *(f"{split}_mask" for split in SPLITS))}
    tensors["x"] = tensors["x"].float()
    return {name: tensor.contiguous() for name, tensor in tensors.items()}
