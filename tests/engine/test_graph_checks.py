"""What is refused of any graph, whoever made it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.errors import RunError
from engine.graph_checks import check_graph

NAN = torch.tensor([[1.0], [float("nan")], [1.0], [1.0]])
EDGES = torch.tensor([[0, 1, 2], [1, 2, 3]])
LABELS = torch.tensor([0, 1, 0, 1])


def masks(*train: int) -> dict[str, Tensor]:
    train_mask = torch.zeros(4, dtype=torch.bool)
    train_mask[list(train)] = True
    return {"train": train_mask, "val": ~train_mask, "test": torch.zeros(4, dtype=torch.bool)}


def whole(**changes: Any) -> dict[str, Any]:
    return {"x": torch.ones(4, 1), "edge_index": EDGES, "y": LABELS, "graph": None, "masks": masks(0, 1), **changes}


def test_a_whole_graph_passes():
    check_graph("g", **whole())
    check_graph("g", **whole(masks={}))
    check_graph("g", **whole(y=torch.ones(4, 3), masks=masks(0)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"x": torch.ones(0, 1), "y": torch.ones(0, dtype=torch.int64)},
            "g is an empty graph: at least one node with a label is needed",
        ),
        ({"x": NAN}, "the features of g hold NaN or infinity in row 1: mend the data"),
        (
            {"edge_index": torch.tensor([[0, 1], [1, 4]])},
            "edge 1 of g, 1 → 4, names a node there is not: it has 4 nodes",
        ),
        (
            {"edge_index": torch.tensor([[0, -1], [1, 2]])},
            "edge 1 of g, -1 → 2, names a node there is not: it has 4 nodes",
        ),
        (
            {"graph": torch.tensor([0, 0, 2, 2]), "y": torch.tensor([0, 1, 0]), "masks": {}},
            "graph 1 of g is empty: at least one node is needed",
        ),
        (
            {"masks": {"train": torch.ones(3, dtype=torch.bool)}},
            "the split train of g has 3 rows, but there are 4 labels",
        ),
        (
            {"y": torch.tensor([0, 1, -1, 1])},
            "row 2 of g is in val, but its label -1 is out of range: from 0 up",
        ),
        ({"masks": masks(0, 2)}, "the split of g leaves class 1 out: train has no row of it"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(RunError) as caught:
        check_graph("g", **whole(**changes))
    assert str(caught.value) == message
