"""One graph from two tables.

``nodes.csv``: a row a node. The column ``id`` (any text; absent: 0, 1, 2 … in order), ``y`` (a class number or name,
empty: unlabelled) or several ``y_NAME`` columns (0 or 1 each), ``split`` (train, val, test or empty); every other
column is a feature. ``edges.csv``: the columns ``source`` and ``target``, which name ids.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.errors import InputError
from engine.own_data.content import Content, check_structure
from engine.own_data.csv_rows import Rows, classes, numbers, read_rows, splits

OWN_COLUMNS = ("id", "y", "split")


def read_tables(nodes: Path, edges: Path, *, labelled: bool = True) -> Content:
    """Read and check a graph; ``labelled``: whether its nodes must have labels. Raises InputError with the line."""
    rows = read_rows(nodes)
    content = _content(rows, read_rows(edges), labelled)
    check_structure(content)
    return content


def _content(rows: Rows, edges: Rows, labelled: bool) -> Content:
    several = [name for name in rows.header if name.startswith("y_")]
    if labelled and ("y" in rows.header) == bool(several):
        fault = "has both the column y and" if several else "has neither a column y nor"
        raise InputError(f"{rows.file} {fault} columns y_NAME: give y (one class a node) or y_NAME (0 or 1 each)")
    features = [name for name in rows.header if name not in (*OWN_COLUMNS, *several)]
    names: tuple[str, ...] = ()
    y = np.empty(0)
    if labelled and several:
        y = numbers(rows, several)
        wrong = np.argwhere((y != 0) & (y != 1))
        if len(wrong):
            row, column = map(int, wrong[0])
            raise InputError(f"{rows.place(row)}: {several[column]} = {y[row, column]:g}; a label of several is 0 or 1")
    elif labelled:
        y, names = classes(rows, "y")
    return Content(
        name=rows.file,
        nodes=len(rows.cells),
        edges=_edges(edges, _numbering(rows), rows.file),
        x=numbers(rows, features) if features else None,
        y=y,
        masks=splits(rows) if labelled else {},
        node_place=rows.place,
        edge_place=edges.place,
        classes=names,
        features=tuple(features),
    )


def _numbering(rows: Rows) -> dict[str, int]:
    if "id" not in rows.header:
        return {str(index): index for index in range(len(rows.cells))}
    numbering: dict[str, int] = {}
    for index, name in enumerate(rows.column("id")):
        if not name:
            raise InputError(f"{rows.place(index)}: the id is empty")
        if name in numbering:
            raise InputError(f"{rows.place(index)}: the id {name!r} is on line {rows.lines[numbering[name]]} already")
        numbering[name] = index
    return numbering


def _edges(rows: Rows, numbering: dict[str, int], nodes: str) -> np.ndarray:
    if sorted(rows.header) != ["source", "target"]:
        raise InputError(
            f"{rows.file} has the columns {', '.join(rows.header)}: it needs source and target, and reads no others"
        )
    found = np.empty((2, len(rows.cells)), dtype=np.int64)
    for end, name in enumerate(("source", "target")):
        for index, text in enumerate(rows.column(name)):
            try:
                found[end, index] = numbering[text]
            except KeyError:
                raise InputError(f"{rows.place(index)}: the {name} {text!r} is no node of {nodes}") from None
    return found
