"""Many graphs from a folder: for each NAME an .npz, or NAME.nodes.csv and NAME.edges.csv.

``graphs.csv`` has a row a graph: ``graph`` (the NAME), ``y`` (a class number or name, or a number) or several
``y_NAME`` columns (numbers, empty: missing), and optionally ``split``. Without it each .npz brings its own ``y``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from engine.errors import InputError
from engine.own_data.arrays import read_arrays
from engine.own_data.content import Content, ContentSet, Labels, Place, check_labels, check_split
from engine.own_data.csv_rows import Rows, classes, numbers, read_rows, splits
from engine.own_data.tables import read_tables

LABELS = "graphs.csv"


def read_many(path: Path, labels: Labels) -> ContentSet:
    """Read and check a set of graphs; ``labels`` says what ``y`` is. Raises InputError, with the row or the name."""
    if not path.is_dir():
        raise InputError(f"there is no folder {path}")
    members = _members(path)
    table = read_rows(path / LABELS) if (path / LABELS).exists() else None
    names = _listed(table, members) if table else sorted(members)
    if not names:
        raise InputError(
            f"the folder {path.name} holds no graphs: give an .npz, or NAME.nodes.csv and NAME.edges.csv, each"
        )
    graphs = [members[name]() for name in names]
    _check_alike(graphs)
    if table:
        return _labelled(graphs, table, labels)
    y, place = _own_labels(graphs, labels)
    if labels == "classes":
        check_labels(y, place)
    return ContentSet(graphs, y, {})


def _members(path: Path) -> dict[str, Callable[[], Content]]:
    """How to read each graph of the folder, by its name."""

    def table(nodes: Path, edges: Path) -> Callable[[], Content]:
        return lambda: read_tables(nodes, edges, labelled=False)

    def arrays(file: Path) -> Callable[[], Content]:
        return lambda: read_arrays(file, of_set=True)

    found: dict[str, Callable[[], Content]] = {}
    for file in sorted(path.iterdir()):
        if file.name == LABELS or file.name.startswith(".") or file.name.endswith(".edges.csv"):
            continue
        name = file.name.removesuffix(".npz").removesuffix(".nodes.csv")
        if name in found:
            raise InputError(f"the folder {path.name} holds the graph {name} twice: as .npz and as tables")
        if file.suffix == ".npz":
            found[name] = arrays(file)
        elif file.name.endswith(".nodes.csv"):
            edges = file.with_name(f"{name}.edges.csv")
            if not edges.is_file():
                raise InputError(f"the folder {path.name} has {file.name}, but no {edges.name}")
            found[name] = table(file, edges)
        else:
            raise InputError(
                f"the folder {path.name} holds {file.name}, which is not read: "
                f"give NAME.npz, or NAME.nodes.csv and NAME.edges.csv, and {LABELS}"
            )
    return found


def _listed(table: Rows, members: dict[str, Callable[[], Content]]) -> list[str]:
    if "graph" not in table.header:
        raise InputError(f"{table.file} has no column graph: the names of the graphs")
    names = table.column("graph")
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name not in members:
            raise InputError(f"{table.place(index)}: there is no graph {name!r} in the folder")
        if first.setdefault(name, index) != index:
            raise InputError(f"{table.place(index)}: the graph {name!r} is on line {table.lines[first[name]]} already")
    left = sorted(set(members) - set(names))
    if left:
        raise InputError(f"{table.file} has no row for the graph {left[0]!r}")
    return names


def _check_alike(graphs: list[Content]) -> None:
    def width(graph: Content) -> int | None:
        return None if graph.x is None else graph.x.shape[1]

    first = graphs[0]
    for graph in graphs:
        if width(graph) != width(first):
            raise InputError(
                f"{graph.name} has {width(graph) or 'no'} features, but {first.name} has {width(first) or 'none'}: "
                "all graphs of a set have the same"
            )


def _labelled(graphs: list[Content], table: Rows, labels: Labels) -> ContentSet:
    several = [name for name in table.header if name.startswith("y_")]
    unknown = [name for name in table.header if name not in ("graph", "y", "split", *several)]
    if unknown:
        raise InputError(f"{table.file} has the unknown column {unknown[0]!r}. Allowed: graph, y or y_NAME, split")
    if ("y" in table.header) == bool(several):
        raise InputError(f"{table.file} needs either the column y or columns y_NAME")
    masks = splits(table)
    names: tuple[str, ...] = ()
    if labels == "classes" and several:
        raise InputError(f"{table.file} has several labels a graph: set labels=several (or numbers for a regression)")
    if labels == "several" and not several:
        raise InputError(f"{table.file} has the column y: for several labels a graph give columns y_NAME")
    if labels == "classes":
        y, names = classes(table, "y")
        for index in np.flatnonzero(y < 0).tolist():
            raise InputError(f"{table.place(index)}: the label is empty")
        check_labels(y, table.place)
    else:
        y = _numbers_or_missing(table, several or ["y"])
        if labels == "several":
            _check_tasks(y, several, table.place)
    check_split(masks, y, table.place, names)
    return ContentSet(graphs, y, masks, names)


def _numbers_or_missing(table: Rows, columns: list[str]) -> np.ndarray:
    missing = np.array([[cell == "" for cell in table.column(name)] for name in columns]).T
    filled = [[cell or "nan" for cell in row] for row in table.cells]
    found = numbers(Rows(table.file, table.header, table.lines, filled), columns)
    wrong = np.argwhere(~np.isfinite(found) & ~missing)
    if len(wrong):
        row, column = map(int, wrong[0])
        raise InputError(f"{table.place(row)}: {columns[column]} is {found[row, column]:g}; leave a missing one empty")
    for row in np.flatnonzero(missing.all(axis=1)).tolist():
        raise InputError(f"{table.place(row)}: no label is given")
    return found


def _check_tasks(y: np.ndarray, columns: list[str], place: Place) -> None:
    wrong = np.argwhere(~np.isnan(y) & (y != 0) & (y != 1))
    if len(wrong):
        row, column = map(int, wrong[0])
        raise InputError(f"{place(row)}: {columns[column]} = {y[row, column]:g}; a label is 0, 1 or empty")


def _own_labels(graphs: list[Content], labels: Labels) -> tuple[np.ndarray, Place]:
    width = graphs[0].y.size
    for graph in graphs:
        if graph.y.size == 0:
            raise InputError(f"{graph.name} has no y, and there is no {LABELS}: give every graph a label")
        if graph.y.size != width:
            raise InputError(f"{graph.name} has {graph.y.size} labels, but {graphs[0].name} has {width}")

    def place(index: int) -> str:
        return graphs[index].name

    y = np.stack([graph.y for graph in graphs])
    if labels == "numbers":
        infinite = np.argwhere(np.isinf(y))
        if len(infinite):
            raise InputError(f"{place(int(infinite[0][0]))}: y is infinite")
        return y.astype(np.float32), place
    if labels == "several":
        _check_tasks(y, [f"label {index}" for index in range(width)], place)
        return y.astype(np.float32), place
    if width > 1:
        raise InputError(f"{place(0)} has {width} labels: set labels=several (or numbers for a regression)")
    for index in np.flatnonzero(y[:, 0] != np.floor(y[:, 0])).tolist():
        raise InputError(
            f"{place(index)}: the label {y[index, 0]:g} is not a whole number (for a regression: labels=numbers)"
        )
    return y[:, 0].astype(np.int64), place
