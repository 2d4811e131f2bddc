"""One graph, from an .npz or from a folder with nodes.csv and edges.csv."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.errors import InputError
from engine.own_data.arrays import read_arrays
from engine.own_data.content import Content, Labels, check_labels, check_split
from engine.own_data.tables import read_tables


def read_one(path: Path, labels: Labels = "classes") -> Content:
    """Read and check one graph with labelled nodes, a class or several labels each. Raises InputError with the row."""
    content = _read(path)
    if content.edges.size == 0:
        raise InputError(f"{content.name} has no edges: at least one is needed")
    if labels == "numbers":
        raise InputError(f"{content.name}: labels = 'numbers' is for sets of graphs: use classes or several")
    if labels == "several" and content.y.ndim == 1:
        raise InputError(f"{content.name} has one label a node: set labels=classes, or give columns y_NAME (y [N, C])")
    if labels == "classes" and content.y.ndim == 2:
        raise InputError(f"{content.name} has several labels a node: set labels=several")
    if content.y.ndim == 1:
        check_labels(content.y, content.node_place)
    check_split(content.masks, content.y, content.node_place, content.classes)
    _check_columns(content)
    return content


def _read(path: Path) -> Content:
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    if not path.is_dir():
        if path.suffix != ".npz":
            raise InputError(f"{path.name} is not read: give an .npz file, or a folder with nodes.csv and edges.csv")
        return read_arrays(path)
    single = [found for found in path.iterdir() if found.suffix == ".npz"]
    tables = path / "nodes.csv", path / "edges.csv"
    missing = [table.name for table in tables if not table.is_file()]
    if not missing:
        return read_tables(*tables)
    if len(single) == 1:
        return read_arrays(single[0])
    raise InputError(f"the folder {path.name} has no {missing[0]}: give nodes.csv and edges.csv, or one .npz")


def _check_columns(content: Content) -> None:
    """Every label of several is 1 for some and 0 for others in train, else it cannot be learnt."""
    if content.y.ndim != 2 or not content.masks:
        return
    train = content.y[content.masks["train"]]
    for column in np.flatnonzero(~train.any(axis=0)).tolist():
        raise InputError(f"{content.name}: the split leaves label {column} out: no row of train has it")
