"""From a dataset's spec to tensors that train: checked, fingerprinted, with its statistics."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from engine.datasets import DATASETS, DatasetSpec, GraphSize
from engine.datasets.archives import label, notes
from engine.datasets.degree_features import DegreeFeaturesSpec, degree_features
from engine.datasets.known_inputs import keep_inputs, known_inputs
from engine.datasets.known_size import keep_size, kept_file
from engine.errors import RunError
from engine.graph_checks import check_graph
from engine.input_magnitudes import input_magnitudes
from engine.kernels.sparse import DENSEST
from engine.layers.operand import Constant
from engine.settings import Settings
from engine.topology import Topology

if TYPE_CHECKING:
    from torch_geometric.data import Data

SPLITS = ("train", "val", "test")
MOST_WARM, MOST_WARM_BYTES = 4, 2 << 28
"""How many graphs a process keeps between its runs, and how much of memory their own tensors may take together."""
MOST_DENSE_BYTES = 1 << 25
"""Of a graph with dense features that is kept warm."""
ABSENT = ()
"""The stamp of a file that there is not."""
KEPT_FORM = 2
"""Changes whenever a loader's result does: older kept copies are then passed over."""


@dataclass(frozen=True)
class Graph:
    """One graph, or a set of graphs whose nodes lie one after the other: x [N, F] float32, edge_index [2, E] int64."""

    x: Tensor
    edge_index: Tensor
    """(source, target), numbered through all graphs."""
    y: Tensor
    """By node: labels [N] int64, or [N, C] float32 of 0 and 1. By graph: labels [G] int64, or [G, T] float32
    (targets of a regression, or labels of several tasks), NaN where missing."""
    graph: Tensor | None
    """Each node's graph, int64 [N], ascending; None: one graph."""
    masks: dict[str, Tensor]
    """"train", "val", "test", bool over what ``y`` is over; empty where the dataset brings no split."""
    size: GraphSize
    provenance: dict[str, Any]
    """Name, fingerprint, statistics, caveats."""
    features_again: Callable[[], Tensor] | None = None
    """Loads x anew, where its memory is a run's own, to be overwritten; None: others read it too."""

    @cached_property
    def topology(self) -> Topology:
        """The structure of all graphs together, derived on first use."""
        return Topology(self.edge_index, self.size.nodes, self.graph)

    @cached_property
    def features(self) -> Constant:
        """``x``, which is the same in every step of every run, with what is derived of it."""
        return Constant.of(self.x, self.features_again)

    @property
    def bytes(self) -> int:
        """What its tensors take, without what is derived of them."""
        return sum(part.numel() * part.element_size() for part in (self.x, self.edge_index, self.y))


def fingerprint(*tensors: Tensor) -> str:
    """SHA-256 (16 hex digits) over the bytes of the tensors, in order."""
    digest = hashlib.sha256()
    for tensor in tensors:
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()[:16]


def load_graph(spec: DatasetSpec, settings: Settings) -> Graph:
    """Load a dataset. Raises RunError, or InputError for a person's own files, in one sentence."""
    entry = DATASETS[spec.name]
    tensors = _load_tensors(spec, settings)
    edge_index, y, graph = tensors["edge_index"], tensors["y"], tensors.get("graph")
    if "x" in tensors:
        x = tensors["x"]
    else:
        assert isinstance(spec, DegreeFeaturesSpec), f"{spec.name} has no features and no degree_cap"
        x = degree_features(edge_index, int(tensors["nodes"]), spec.degree_cap)
    masks = {split: tensors[f"{split}_mask"] for split in SPLITS if f"{split}_mask" in tensors}
    check_graph(spec.name, x, edge_index, y, graph, masks)
    size = _size(x, edge_index, y, graph)
    if not entry.changeable:
        keep_size(spec, settings, size)
        if known_inputs(spec, settings) is None:
            keep_inputs(spec, settings, input_magnitudes(x))
    by_graph = graph is not None and y.shape[0] == size.graphs
    provenance = {
        "dataset": spec.name,
        "dataset_label": label(spec.name, settings),
        "synthetic": entry.synthetic,
        "about": entry.about(spec) if entry.about else None,
        "caveat": notes(spec.name, settings),
        "fingerprint": fingerprint(x, edge_index, y, *masks.values(), *([] if graph is None else [graph])),
        "graphs": size.graphs,
        "nodes": size.nodes,
        "edges": size.edges,
        "features": size.features,
        "classes": size.classes,
        **{f"{split}_{'graphs' if by_graph else 'nodes'}": int(mask.sum()) for split, mask in masks.items()},
    }

    def features_again() -> Tensor:
        again = load_graph(spec, settings)
        if again.provenance["fingerprint"] != provenance["fingerprint"]:
            raise RunError(
                f"the dataset {label(spec.name, settings)} has changed while the run trained: start it again"
            )
        return again.x

    return Graph(x, edge_index, y, graph, masks, size, provenance, features_again)


_warm: OrderedDict[tuple[Any, ...], Graph] = OrderedDict()


def warm_graph(spec: DatasetSpec, settings: Settings) -> Graph:
    """``load_graph``, which keeps the last graphs of this process, with what runs derived of them.

    A graph counts as the same while the file that it is read from is, and what is said of it; one whose content may
    change under the same options (a person's files) is read anew each time.
    """
    entry = DATASETS[spec.name]
    if entry.changeable:
        return load_graph(spec, settings)

    def key() -> tuple[Any, ...]:
        said = label(spec.name, settings), notes(spec.name, settings)
        read = None if entry.synthetic else _stamp(_kept_tensors(spec, settings))
        return spec.model_dump_json(), str(settings.data_root), str(settings.mirror), *said, read

    found = _warm.pop(key(), None)
    if found is None and settings.run_memory_gb is not None:
        _warm.clear()  # what other runs left would count against this one's limit
    graph = load_graph(spec, settings) if found is None else found
    # Large dense features are better a run's own, which may overwrite them.
    worth = graph.size.entries_a_node is not None or graph.bytes <= MOST_DENSE_BYTES
    # Loading may have written the file, or what is said of it.
    if worth and graph.bytes <= MOST_WARM_BYTES and key()[-1] != ABSENT:
        graph = _warm[key()] = graph if graph.features_again is None else replace(graph, features_again=None)
    while len(_warm) > 1 and (len(_warm) > MOST_WARM or sum(each.bytes for each in _warm.values()) > MOST_WARM_BYTES):
        _warm.popitem(last=False)
    return graph


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        found = path.stat()
    except OSError:
        return ABSENT
    return found.st_ino, found.st_size, found.st_mtime_ns


def _size(x: Tensor, edge_index: Tensor, y: Tensor, graph: Tensor | None) -> GraphSize:
    counts = torch.bincount(torch.bincount(edge_index[1], minlength=x.shape[0])).tolist()
    return GraphSize(
        nodes=x.shape[0],
        edges=edge_index.shape[1],
        features=x.shape[1],
        classes=y.shape[1] if y.dim() == 2 else int(y.max()) + 1,
        degrees=tuple((degree, count) for degree, count in enumerate(counts) if count),
        graphs=1 if graph is None else int(graph[-1]) + 1,
        entries_a_node=_entries_a_node(x),
        loops=int((edge_index[0] == edge_index[1]).sum()),
    )


def _entries_a_node(x: Tensor) -> float | None:
    """See GraphSize: the same choice as SparseOperand.from_dense makes."""
    entries = int(x.count_nonzero())
    return None if not x.numel() or entries > DENSEST * x.numel() else entries / x.shape[0]


def _load_tensors(spec: DatasetSpec, settings: Settings) -> dict[str, Tensor]:
    """The dataset's tensors: from the kept copy, else by its loader.

    Importing torch_geometric takes longer than a short run trains, so what a loader gave is kept beside
    the data, under a name that its options and PyG's version are part of.
    """
    entry = DATASETS[spec.name]
    if entry.synthetic or entry.changeable:
        return _from_loader(spec, settings)
    kept = _kept_tensors(spec, settings)
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


def _kept_tensors(spec: DatasetSpec, settings: Settings) -> Path:
    return kept_file(spec, settings, ".pt", f" torch_geometric {_pyg_version()} form {KEPT_FORM}")


@cache
def _pyg_version() -> str:
    return metadata.version("torch_geometric")


def _from_loader(spec: DatasetSpec, settings: Settings) -> dict[str, Tensor]:
    found = DATASETS[spec.name].load(spec, settings)
    if isinstance(found, Mapping):
        tensors = {**found, "nodes": torch.tensor(found["x"].shape[0])}
    else:
        tensors = _many_graphs(found) if isinstance(found, Sequence) else _one_graph(found)
    if "x" in tensors:
        tensors["x"] = tensors["x"].float()
    if tensors["y"].dim() == 2:  # several labels or targets
        tensors["y"] = tensors["y"].float()
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def _one_graph(data: Data) -> dict[str, Tensor]:
    names = ("x", "edge_index", "y", "graph", *(f"{split}_mask" for split in SPLITS))
    tensors = {name: data[name] for name in names if data.get(name) is not None}
    return tensors | {"nodes": torch.tensor(data.num_nodes)}


def _many_graphs(graphs: Sequence[Data]) -> dict[str, Tensor]:
    """The graphs one after the other; ``y`` by node where each has as many labels as nodes, else by graph."""
    nodes = torch.tensor([graph.num_nodes for graph in graphs])
    before = (nodes.cumsum(0) - nodes).tolist()
    edges = [graph["edge_index"] + offset for graph, offset in zip(graphs, before, strict=True)]
    tensors = {
        "edge_index": torch.cat(edges, dim=1),
        "graph": torch.repeat_interleave(torch.arange(len(graphs)), nodes),
        "nodes": nodes.sum(),
    }
    if graphs[0].get("x") is not None:
        tensors["x"] = torch.cat([graph["x"] for graph in graphs])
    by_node = all(len(graph["y"]) == graph.num_nodes for graph in graphs)
    labels = torch.cat([graph["y"] if by_node else graph["y"].reshape(1, -1) for graph in graphs])
    tensors["y"] = labels if by_node or labels.is_floating_point() else labels.flatten()
    for split in SPLITS:
        if graphs[0].get(f"{split}_mask") is not None:
            tensors[f"{split}_mask"] = torch.cat([graph[f"{split}_mask"] for graph in graphs])
    return tensors
