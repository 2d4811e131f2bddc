"""ogbn-arxiv by ogb's own class, on a small graph in its raw layout (the real one is not to be had here)."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from engine.graph import load_graph
from engine.settings import Settings
from tests.engine.datasets.specs import dataset

NODES = 60


def write(path: Path, rows: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.write("\n".join(rows) + "\n")


@pytest.fixture
def placed(settings: Settings, tmp_path: Path) -> Settings:
    """A data folder with raw files as ogb's archive has them, and nothing processed."""
    folder = tmp_path / "data" / "ogbn_arxiv"
    raw, split = folder / "raw", folder / "split" / "time"
    write(raw / "edge.csv.gz", [f"{node},{(node + 1) % NODES}" for node in range(NODES)])
    write(raw / "node-feat.csv.gz", [f"{node},{node % 7},1" for node in range(NODES)])
    write(raw / "node-label.csv.gz", [str(node % 4) for node in range(NODES)])
    write(raw / "node_year.csv.gz", ["2017"] * NODES)
    write(raw / "num-node-list.csv.gz", [str(NODES)])
    write(raw / "num-edge-list.csv.gz", [str(NODES)])
    for name, first, last in (("train", 0, 40), ("valid", 40, 50), ("test", 50, 60)):
        write(split / f"{name}.csv.gz", [str(node) for node in range(first, last)])
    (folder / "RELEASE_v1.txt").write_text("")
    return settings.model_copy(update={"data": tmp_path / "data", "mirror": None})


def test_raw_files_in_ogbs_layout_are_read(placed: Settings):
    graph = load_graph(dataset("ogbn-arxiv"), placed)
    assert (graph.size.nodes, graph.size.edges, graph.size.features, graph.size.classes) == (NODES, 2 * NODES, 3, 4)
    assert [int(mask.sum()) for mask in graph.masks.values()] == [40, 10, 10]
    assert graph.y.tolist() == [node % 4 for node in range(NODES)]
    directed = load_graph(dataset("ogbn-arxiv(undirected=false)"), placed)
    assert directed.size.edges == NODES
