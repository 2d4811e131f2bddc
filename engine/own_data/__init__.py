"""A person's own graphs from files: two tables, one .npz, or a folder of many. Needs numpy only, and no torch.

Nothing of it is ever unpickled, and every fault is named with its row. The forms:

- ``nodes.csv`` and ``edges.csv`` (tables.py),
- one ``.npz`` with x, edge_index, y and masks (arrays.py),
- a folder with one of these for each graph, and ``graphs.csv`` with their labels (folders.py).
"""

from __future__ import annotations

from engine.own_data.content import Content, ContentSet
from engine.own_data.folders import read_many
from engine.own_data.single import read_one

__all__ = ["Content", "ContentSet", "read_many", "read_one"]
