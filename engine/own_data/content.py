"""What the files of a person hold, as arrays, each element knowing its row for the errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from engine.errors import InputError

Labels = Literal["classes", "several", "numbers"]
"""What is predicted: one class, several labels of 0 and 1, or (of whole graphs) numbers."""
SPLITS = ("train", "val", "test")
Place = Callable[[int], str]
"""Where element i is written: "nodes.csv, line 7"."""


@dataclass(frozen=True)
class Content:
    """One graph."""

    name: str
    """The file's name."""
    nodes: int
    edges: np.ndarray
    """Source and target, int64 [2, E]."""
    x: np.ndarray | None
    """float32 [N, F]; None: no features."""
    y: np.ndarray
    """By node: int64 [N] (−1: unlabelled), or float32 [N, C] of 0 and 1. Of a graph in a set: float64 [T]."""
    masks: dict[str, np.ndarray]
    """"train", "val", "test", bool [N]; empty: no split is given."""
    node_place: Place
    edge_place: Place
    classes: tuple[str, ...] = ()
    """Names of the classes, where the file has names instead of numbers."""
    features: tuple[str, ...] = ()
    """Names of the features, where the file has them."""


@dataclass(frozen=True)
class ContentSet:
    """Many graphs, with a label or numbers for each."""

    graphs: list[Content]
    y: np.ndarray
    """int64 [G] classes, or float32 [G, T] numbers, NaN where missing."""
    masks: dict[str, np.ndarray]
    """bool [G]; empty: no split is given."""
    classes: tuple[str, ...] = field(default=())


def check_structure(content: Content) -> None:
    """Raise InputError for an empty graph, non-finite features and edges to missing nodes."""
    if content.nodes < 1:
        raise InputError(f"{content.name} holds an empty graph: at least one node is needed")
    if content.x is not None and not np.isfinite(content.x).all():
        row, column = map(int, np.argwhere(~np.isfinite(content.x))[0])
        feature = content.features[column] if content.features else f"number {column}"
        raise InputError(
            f"{content.node_place(row)}: the feature {feature} is {content.x[row, column]:g}; "
            "every feature is a finite number"
        )
    outside = np.flatnonzero(((content.edges < 0) | (content.edges >= content.nodes)).any(axis=0))
    if outside.size:
        edge = int(outside[0])
        ends = content.edges[:, edge].tolist()
        missing = next(end for end in ends if not 0 <= end < content.nodes)
        raise InputError(
            f"{content.edge_place(edge)}: the edge {ends[0]} → {ends[1]} names node {missing}, "
            f"but there are {content.nodes} nodes (0 to {content.nodes - 1})"
        )


def check_labels(labels: np.ndarray, place: Place) -> None:
    """Raise InputError unless the labels, int64, are 0 … C − 1, each used (−1 marks none)."""
    for row in np.flatnonzero(labels < -1).tolist():
        raise InputError(f"{place(row)}: the label {int(labels[row])} is out of range: labels go from 0 up")
    used = np.unique(labels[labels >= 0])
    if used.size == 0:
        raise InputError(f"{place(0)}: no label is given anywhere; at least two classes are needed")
    if used.size == 1:
        raise InputError(f"{place(0)}: all labels are the same class; at least two classes are needed")
    wrong = np.flatnonzero(labels >= used.size)
    if wrong.size:
        row = int(wrong[0])
        raise InputError(
            f"{place(row)}: the label {int(labels[row])} is out of range: {used.size} different labels are used, "
            f"so they go from 0 to {used.size - 1}"
        )


def check_split(masks: dict[str, np.ndarray], labels: np.ndarray, place: Place, names: tuple[str, ...] = ()) -> None:
    """Raise InputError for splits that overlap, are empty, hold what has no label, or train without a class.

    ``labels``: classes (int64), or anything else, whose classes are not looked at.
    """
    if not masks:
        return
    together = np.stack([masks[split] for split in SPLITS])
    twice = np.flatnonzero(together.sum(axis=0) > 1)
    if twice.size:
        row = int(twice[0])
        both = [split for split in SPLITS if masks[split][row]]
        raise InputError(f"{place(row)}: it is in {' and in '.join(both)}; every row is in one split at most")
    for split in SPLITS:
        if not masks[split].any():
            raise InputError(f"the split {split} is empty: give it at least one row, or leave all splits out")
    if labels.ndim != 1 or labels.dtype != np.int64:
        return
    unlabelled = np.flatnonzero(together.any(axis=0) & (labels < 0))
    if unlabelled.size:
        row = int(unlabelled[0])
        split = next(split for split in SPLITS if masks[split][row])
        raise InputError(f"{place(row)}: it is in {split}, but has no label")
    trained = set(np.unique(labels[masks["train"]]).tolist())
    for label in np.unique(labels[labels >= 0]).tolist():
        if label not in trained:
            row = int(np.flatnonzero(labels == label)[0])
            called = f"{label} ({names[label]})" if names else str(label)
            raise InputError(
                f"{place(row)}: the split leaves class {called} out: train has no row of it; put at least one in train"
            )
