"""Small data of a person's own, whole and with one fault each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

NODES = 12


def write_tables(folder: Path, *, nodes: str | None = None, edges: str | None = None) -> Path:
    """nodes.csv and edges.csv: a ring of twelve named nodes, two classes, two features, a split."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nodes.csv").write_text(node_table() if nodes is None else nodes)
    (folder / "edges.csv").write_text(edge_table() if edges is None else edges)
    return folder


def node_table() -> str:
    splits = ["train"] * 6 + ["val"] * 3 + ["test"] * 3
    rows = [f"n{i},{'red' if i % 2 else 'blue'},{splits[i]},{i / 4},{i % 3}" for i in range(NODES)]
    return "\n".join(["id,y,split,age,size", *rows]) + "\n"


def edge_table() -> str:
    return "\n".join(["source,target", *(f"n{i},n{(i + 1) % NODES}" for i in range(NODES))]) + "\n"


def arrays(**changes: Any) -> dict[str, Any]:
    """The same ring as arrays, with changes; None leaves one out."""
    ring = np.arange(NODES)
    split = np.array([0] * 6 + [1] * 3 + [2] * 3)
    found = {
        "x": np.stack([ring / 4, ring % 3], axis=1).astype(np.float32),
        "edge_index": np.stack([ring, (ring + 1) % NODES]),
        "y": ring % 2,
        **{f"{name}_mask": split == part for part, name in enumerate(("train", "val", "test"))},
        **changes,
    }
    return {name: value for name, value in found.items() if value is not None}


def write_arrays(file: Path, **changes: Any) -> Path:
    np.savez(file, **arrays(**changes))
    return file


def write_set(folder: Path, graphs: int = 12, *, table: str | None = None) -> Path:
    """Rings of 3, 4, 5 … nodes as .npz, and graphs.csv with two classes."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(graphs):
        ring = np.arange(index + 3)
        np.savez(
            folder / f"g{index}.npz",
            x=np.ones((len(ring), 2)),
            edge_index=np.stack([ring, (ring + 1) % len(ring)]),
        )
    text = "graph,y\n" + "".join(f"g{index},{index % 2}\n" for index in range(graphs)) if table is None else table
    (folder / "graphs.csv").write_text(text)
    return folder
