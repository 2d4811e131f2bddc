"""One graph from an .npz: arrays of numbers only, no Python objects.

``edge_index`` [2, E] whole numbers, ``x`` [N, F] (optional), ``y`` [N] classes or [N, C] of 0 and 1 (of a graph in
a set: its class, or its numbers), and, all three or none, ``train_mask``, ``val_mask``, ``test_mask`` [N].
"""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from engine.errors import InputError
from engine.own_data.content import SPLITS, Content, check_structure

MASKS = tuple(f"{split}_mask" for split in SPLITS)
KNOWN = ("x", "edge_index", "y", *MASKS, "num_nodes")
LARGEST = 16 * 2**30
"""Bytes that the arrays of a file may have when unpacked."""


def read_arrays(path: Path, *, of_set: bool = False) -> Content:
    """Read and check a graph. Raises InputError with the row."""
    arrays = _load(path)
    name = path.name
    edges = _whole(arrays.get("edge_index"), "edge_index", name)
    if edges.ndim != 2 or edges.shape[0] != 2:
        raise InputError(f"{name}: edge_index has the shape {list(edges.shape)}; it should be [2, edges]")
    x = arrays.get("x")
    if x is not None and (x.ndim != 2 or x.dtype.kind not in "fiub"):
        raise InputError(f"{name}: x is {x.dtype} of the shape {list(x.shape)}; it should be numbers [nodes, features]")
    if x is not None and x.shape[1] == 0:
        raise InputError(f"{name}: x has no columns: leave x out, and features are made of the nodes' degrees")
    if "y" not in arrays and not of_set:
        raise InputError(f"{name} has no array y: the labels of its nodes")
    y = arrays.get("y", np.empty(0))
    if y.dtype.kind not in "fiub":
        raise InputError(f"{name}: y is {y.dtype}; it should be numbers")
    content = Content(
        name=name,
        nodes=_node_count(arrays, edges, y, name, of_set=of_set),
        edges=edges,
        x=None if x is None else x.astype(np.float32),
        y=y.astype(np.float64).reshape(-1) if of_set else _node_labels(y, name),
        masks={} if of_set else _masks(arrays, name),
        node_place=lambda row: f"{name}, row {row} of x and y",
        edge_place=lambda edge: f"{name}, column {edge} of edge_index",
    )
    check_structure(content)
    if not of_set and len(content.y) != content.nodes:
        raise InputError(f"{name}: y has {len(content.y)} rows, but there are {content.nodes} nodes")
    for split, mask in content.masks.items():
        if len(mask) != content.nodes:
            raise InputError(f"{name}: {split}_mask has {len(mask)} rows, but there are {content.nodes} nodes")
    return content


def _load(path: Path) -> dict[str, np.ndarray]:
    name = path.name
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    try:
        if not zipfile.is_zipfile(path):
            raise InputError(f"{name} cannot be read: it is not an .npz file")
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST:
            raise InputError(f"{name} is too large: {size / 2**30:.1f} GiB unpacked, at most {LARGEST // 2**30} GiB")
        with np.load(path, allow_pickle=False) as file:
            unknown = [key for key in file.files if key not in KNOWN]
            if unknown:
                raise InputError(f"{name} has an unknown array {unknown[0]!r}. Allowed: {', '.join(KNOWN)}")
            return {key: _array(file, key, name) for key in file.files}
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise InputError(f"{name} cannot be read: {error}") from None


def _array(file: np.lib.npyio.NpzFile, key: str, name: str) -> np.ndarray:
    try:
        found = file[key]
    except (ValueError, OverflowError, MemoryError, zlib.error, zipfile.BadZipFile, EOFError) as error:
        if "Object arrays" in str(error):
            raise InputError(f"{name}: the array {key} holds Python objects, which are never loaded") from None
        raise InputError(f"{name}: the array {key} cannot be read: {error}") from None
    if not isinstance(found, np.ndarray):
        raise InputError(f"{name}: {key} is not an array")
    return found


def _whole(found: np.ndarray | None, key: str, name: str) -> np.ndarray:
    if found is None:
        raise InputError(f"{name} has no array {key}")
    if found.dtype.kind not in "iu":
        raise InputError(f"{name}: {key} is {found.dtype}; it should be whole numbers")
    return found.astype(np.int64)


def _node_count(arrays: dict[str, np.ndarray], edges: np.ndarray, y: np.ndarray, name: str, *, of_set: bool) -> int:
    if "x" in arrays:
        return len(arrays["x"])
    if "num_nodes" in arrays:
        count = _whole(arrays["num_nodes"], "num_nodes", name)
        if count.size != 1:
            raise InputError(f"{name}: num_nodes has the shape {list(count.shape)}; it should be one number")
        return int(count.reshape(-1)[0])
    if not of_set:
        return len(y) if y.ndim else 0
    return int(edges.max()) + 1 if edges.size else 0


def _node_labels(y: np.ndarray, name: str) -> np.ndarray:
    if y.ndim == 2:
        if y.shape[1] == 0:
            raise InputError(f"{name}: y has no columns: give one for each label")
        wrong = np.argwhere((y != 0) & (y != 1))
        if len(wrong):
            row, column = map(int, wrong[0])
            raise InputError(f"{name}, row {row} of y: the label {y[row, column]:g} of several is not 0 or 1")
        return y.astype(np.float32)
    if y.ndim != 1:
        raise InputError(f"{name}: y has the shape {list(y.shape)}; it should be [nodes] or [nodes, labels]")
    wrong = np.flatnonzero((y != np.floor(y)) | np.isinf(y)) if y.dtype.kind == "f" else np.empty(0)
    if wrong.size:
        row = int(wrong[0])
        raise InputError(f"{name}, row {row} of y: the label {y[row]:g} is not a whole number")
    return y.astype(np.int64)


def _masks(arrays: dict[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    given = [key for key in MASKS if key in arrays]
    if not given:
        return {}
    missing = [key for key in MASKS if key not in given]
    if missing:
        raise InputError(f"{name} has {given[0]}, but no {missing[0]}: give all three masks, or none")
    for key in MASKS:
        mask = arrays[key]
        if mask.ndim != 1 or not np.isin(mask, (0, 1)).all():
            raise InputError(f"{name}: {key} should be true or false for each node")
    return {split: arrays[f"{split}_mask"].astype(bool) for split in SPLITS}
