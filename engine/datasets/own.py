"""A person's own data: ``file(path="…")`` is one graph, ``folder(path="…")`` a set; ``upload=…`` names uploaded files.

What the files look like is told in engine/own_data. A path is read where `bitfront run` runs, never by a service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, model_validator

from engine import recipe_files
from engine.datasets.degree_features import DegreeFeaturesSpec
from engine.datasets.entry import Dataset, GraphSize
from engine.datasets.random_split import RandomSplitSpec
from engine.errors import InputError
from engine.form_marks import HIDDEN
from engine.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from torch_geometric.data import Data

    from engine.own_data import Content, ContentSet
    from engine.own_data.content import Labels

TRAIN, VAL = 0.6, 0.2
"""Shares of each class, where the files bring no split."""


class OwnSpec(DegreeFeaturesSpec, RandomSplitSpec):
    """Options of one's own data: a path on this machine, or the id of an upload."""

    path: Annotated[str, Field(json_schema_extra=HIDDEN)] = ""
    """Where the files are on this machine, for `bitfront run`."""
    upload: Annotated[str, Field(json_schema_extra=HIDDEN)] = ""
    """The id of uploaded files."""
    undirected: bool = False
    """Whether each edge also links back; repeated edges then count once."""

    @model_validator(mode="after")
    def _one_source(self) -> OwnSpec:
        from engine.own_data.uploads import check_id

        if self.upload:
            check_id(self.upload)
        if self.upload and self.path:
            raise self._no_source()
        if self.path and not recipe_files.allowed:
            raise InputError(f"the path {self.path!r} is not read here: a service takes uploads only")
        return self

    def _no_source(self) -> InputError:
        return InputError(
            f'the dataset {self.name} needs either a path, such as {self.name}(path="./mine"), or an upload\'s id'
        )

    def place(self, settings: Settings) -> Path:
        """Where the files are. Raises InputError where nothing says so, RunError where an upload cannot be had."""
        from engine.own_data.uploads import locate

        if not self.path and not self.upload:
            raise self._no_source()
        return locate(self.upload, settings) if self.upload else Path(self.path).expanduser()

    def check_elsewhere(self) -> None:
        if not self.path and not self.upload:
            raise InputError(f"the dataset {self.name} has no files yet: upload them on the Launch page")
        if self.path:
            raise InputError(
                f"the dataset {self.name} names the path {self.path}, which other machines do not have: "
                "train it here with `bitfront run`, or upload the files on the Launch page"
            )


class FileSpec(OwnSpec):
    """Options of one graph."""

    name: Literal["file"] = "file"
    labels: Annotated[Literal["classes", "several"], Field(json_schema_extra=HIDDEN)] = "classes"
    """Whether a node has one class, or several labels of 0 and 1."""


class FolderSpec(OwnSpec):
    """Options of a set of graphs."""

    name: Literal["folder"] = "folder"
    labels: Annotated[Literal["classes", "several", "numbers"], Field(json_schema_extra=HIDDEN)] = "classes"
    """Whether a graph has one class, several labels of 0 and 1 (some may be missing), or numbers (a regression)."""


def size(spec: FileSpec | FolderSpec) -> GraphSize:
    """Read from the files, degrees and all. Raises InputError, RunError."""
    place = spec.place(Settings())
    many = isinstance(spec, FolderSpec)
    return _size(place, _changed(place), many, spec.labels, spec.undirected, spec.degree_cap)


def _changed(place: Path) -> tuple[int, ...]:
    """Differs whenever a file there was written."""
    files = sorted(place.iterdir()) if place.is_dir() else [place] if place.exists() else []
    return tuple(number for file in files for number in (file.stat().st_mtime_ns, file.stat().st_size))


@lru_cache(maxsize=64)
def _size(
    place: Path, changed: tuple[int, ...], many: bool, labels: Labels, undirected: bool, degree_cap: int
) -> GraphSize:
    import numpy as np

    from engine.own_data import read_many, read_one

    whole = read_many(place, labels) if many else None
    graphs = whole.graphs if whole else [read_one(place, labels)]
    y = whole.y if whole else graphs[0].y
    degrees = np.concatenate(
        [np.bincount(_both_ways(graph, undirected)[1], minlength=graph.nodes) for graph in graphs], dtype=np.int64
    )
    first = graphs[0].x
    return GraphSize(
        nodes=sum(graph.nodes for graph in graphs),
        edges=int(degrees.sum()),
        features=degree_cap + 1 if first is None else first.shape[1],
        classes=y.shape[1] if y.ndim == 2 else int(y.max()) + 1,
        degrees=tuple((degree, count) for degree, count in enumerate(np.bincount(degrees).tolist()) if count),
        graphs=len(graphs),
    )


def _both_ways(content: Content, undirected: bool) -> np.ndarray:
    import numpy as np

    edges = content.edges
    return np.unique(np.concatenate([edges, edges[::-1]], axis=1), axis=1) if undirected else edges


def _data(content: Content, undirected: bool) -> Data:
    import torch
    from torch_geometric.data import Data

    data = Data(edge_index=torch.from_numpy(_both_ways(content, undirected).copy()), num_nodes=content.nodes)
    if content.x is not None:
        data.x = torch.from_numpy(content.x)
    return data


def load_file(spec: FileSpec, settings: Settings) -> Data:
    import torch

    from engine.datasets.random_split import by_shares, stratified
    from engine.own_data import read_one

    content = read_one(spec.place(settings), spec.labels)
    data = _data(content, spec.undirected)
    labels = torch.from_numpy(content.y)
    data.y = labels
    if content.masks:
        data.update({f"{split}_mask": torch.from_numpy(mask) for split, mask in content.masks.items()})
    elif content.y.ndim == 1:
        data.update(stratified(labels, TRAIN, VAL, spec.split_seed))
    else:
        data.update(by_shares(content.nodes, TRAIN, VAL, spec.split_seed))
    return data


def load_folder(spec: FolderSpec, settings: Settings) -> list[Data]:
    import torch

    from engine.own_data import read_many

    found: ContentSet = read_many(spec.place(settings), spec.labels)
    graphs = [_data(content, spec.undirected) for content in found.graphs]
    labels = torch.from_numpy(found.y)
    for index, graph in enumerate(graphs):
        graph.y = labels[index : index + 1]
        graph.update(
            {f"{split}_mask": torch.from_numpy(mask[index : index + 1]) for split, mask in found.masks.items()}
        )
    return graphs


def _task(several: str, **others: str) -> Callable[[Mapping[str, Any]], str]:
    """The default task by the option ``labels``."""
    tasks = {"several": several, **others}
    return lambda options: tasks.get(str(options.get("labels")), tasks["classes"])


def about(spec: OwnSpec) -> str:
    return f"upload {spec.upload}" if spec.upload else f"files of {Path(spec.path).name}"


ENTRIES = [
    Dataset(
        name="file",
        summary="a graph of your own: nodes.csv and edges.csv, or one .npz",
        tasks=("node-classification", "multi-label-node-classification", "link-prediction"),
        metric="accuracy",
        licence="your own data",
        spec=FileSpec,
        size=size,
        load=load_file,
        splits="the files', else 60/20/20 % of each class, by split_seed",
        about=about,
        changeable=True,
        default_task=_task("multi-label-node-classification", classes="node-classification"),
        own_files=True,
    ),
    Dataset(
        name="folder",
        summary="a set of graphs of your own: a folder of .npz, or of tables, with graphs.csv",
        tasks=("graph-classification", "multi-task-graph-classification", "graph-regression"),
        metric="accuracy",
        licence="your own data",
        spec=FolderSpec,
        size=size,
        load=load_folder,
        splits="the files', else made by the task",
        about=about,
        changeable=True,
        default_task=_task(
            "multi-task-graph-classification", classes="graph-classification", numbers="graph-regression"
        ),
        own_files=True,
    ),
]
