"""Datasets: their statistics, splits and determinism, and archives that are checked before use."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.datasets import DATASETS
from engine.errors import InputError, RunError
from engine.graph import load_graph
from engine.settings import Settings
from engine.spec import RunSpec


def dataset(text: str):
    return RunSpec.parse({"dataset": text, "model": "gcn"}).dataset


@pytest.mark.parametrize(
    ("name", "nodes", "edges", "features", "classes", "splits"),
    [
        ("cora", 2708, 10556, 1433, 7, (140, 500, 1000)),
        ("citeseer", 3327, 9104, 3703, 6, (120, 500, 1000)),
        ("pubmed", 19717, 88648, 500, 3, (60, 500, 1000)),
    ],
)
def test_the_citation_graphs_come_from_the_mirror(
    settings: Settings, mirror: Path, name: str, nodes: int, edges: int, features: int, classes: int, splits
):
    graph = load_graph(dataset(name), settings)
    size = graph.size
    assert (size.nodes, size.edges, size.features, size.classes) == (nodes, edges, features, classes)
    assert tuple(int(graph.masks[split].sum()) for split in ("train", "val", "test")) == splits
    assert replace(size, degrees=None) == DATASETS[name].size(dataset(name)), "the catalogue's size is the real one"
    sums = graph.x.sum(1)
    torch.testing.assert_close(sums[sums > 0], torch.ones(int((sums > 0).sum())))


def test_a_caveat_of_the_mirror_travels_with_the_result(settings: Settings, mirror: Path):
    caveat = load_graph(dataset("pubmed"), settings).provenance["caveat"]
    rows = json.loads((mirror / "index.json").read_text())
    assert caveat == next(row["caveat"] for row in rows if "pubmed" in row["datasets"])


def test_the_karate_club_needs_nothing(settings: Settings):
    offline = settings.model_copy(update={"mirror": None})
    graph = load_graph(dataset("karate"), offline)
    assert (graph.size.nodes, graph.size.edges, graph.size.classes) == (34, 156, 4)
    assert [int(graph.masks[split].sum()) for split in ("train", "val", "test")] == [4, 10, 20]
    for split in ("val", "test"):
        assert set(graph.y[graph.masks[split]].tolist()) == {0, 1, 2, 3}, split


def test_a_kept_copy_equals_what_the_loader_gave_and_needs_no_pyg(settings: Settings, tmp_path: Path):
    fresh = settings.model_copy(update={"data": tmp_path / "data"})
    first = load_graph(dataset("karate"), fresh)
    program = f"""
import sys
from pathlib import Path
from engine.graph import load_graph
from engine.settings import Settings
from engine.spec import RunSpec
spec = RunSpec.parse({{"dataset": "karate", "model": "gcn"}})
graph = load_graph(spec.dataset, Settings(data=Path({str(fresh.data)!r})))
print(graph.provenance["fingerprint"], "torch_geometric" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [first.provenance["fingerprint"], "False"]


def test_a_damaged_kept_copy_is_loaded_anew(settings: Settings, tmp_path: Path):
    fresh = settings.model_copy(update={"data": tmp_path / "data"})
    first = load_graph(dataset("karate"), fresh)
    (kept,) = (tmp_path / "data" / "loaded").glob("*.pt")
    for content in (b"", b"nonsense", kept.read_bytes()[:100]):
        kept.write_bytes(content)
        assert load_graph(dataset("karate"), fresh).provenance == first.provenance


def test_splits_do_not_overlap(settings: Settings):
    for text in ("karate", "sbm"):
        masks = load_graph(dataset(text), settings).masks
        total = torch.stack([masks[split].long() for split in masks]).sum(0)
        assert total.max() == 1, text


def test_a_generated_graph_is_repeatable_and_follows_its_options(settings: Settings):
    text = "sbm(nodes=600,classes=3,features=60,degree=10.0,homophily=0.9)"
    graph, again = load_graph(dataset(text), settings), load_graph(dataset(text), settings)
    assert graph.provenance["fingerprint"] == again.provenance["fingerprint"]
    assert graph.provenance["synthetic"]
    assert graph.provenance["dataset_label"] == "sbm (synthetic)"
    source, target = graph.topology.edge_index
    within = (graph.y[source] == graph.y[target]).float().mean().item()
    # 0.9 within by choice, and a third of the rest by chance: 0.933.
    assert within == pytest.approx(0.9 + 0.1 / 3, abs=0.02)
    assert graph.size.edges == pytest.approx(6000, rel=0.05)
    assert torch.equal(graph.topology.edge_index.flip(0).unique(dim=1), graph.topology.edge_index.unique(dim=1)), (
        "undirected"
    )
    other = load_graph(dataset(text.replace("nodes", "graph_seed=1,nodes")), settings)
    assert other.provenance["fingerprint"] != graph.provenance["fingerprint"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sbm(nodes=30)",
            "sbm is too small for its split: 4 classes with 20 training nodes each need at least 100 nodes, not 30",
        ),
        ("sbm(features=3)", "sbm needs at least one feature a class: features = 3, classes = 4"),
        ("sbm(homophily=1.5)", "dataset.homophily = 1.5 is not allowed: it should be less than or equal to 1"),
    ],
)
def test_impossible_sizes_are_refused(text: str, message: str):
    with pytest.raises(InputError) as caught:
        dataset(text)
    assert str(caught.value) == message


def damaged_mirror(mirror: Path, folder: Path) -> Path:
    """A copy of Cora's row and archive with one byte of the archive changed."""
    folder.mkdir()
    rows = [row for row in json.loads((mirror / "index.json").read_text()) if "cora" in row["datasets"]]
    (folder / "index.json").write_text(json.dumps(rows))
    archive = folder / rows[0]["archive"]
    shutil.copyfile(mirror / rows[0]["archive"], archive)
    content = bytearray(archive.read_bytes())
    content[100] ^= 1
    archive.write_bytes(content)
    return folder


def test_a_damaged_archive_is_refused_and_leaves_nothing(settings: Settings, mirror: Path, tmp_path: Path):
    bad = damaged_mirror(mirror, tmp_path / "mirror")
    root = tmp_path / "data"
    with pytest.raises(
        RunError, match=r"^the archive planetoid_cora\.tar\.xz of the mirror .* is damaged: its SHA-256"
    ):
        load_graph(dataset("cora"), settings.model_copy(update={"mirror": str(bad), "data": root}))
    assert [path.name for path in root.iterdir() if not path.name.startswith(".")] == []


def test_a_mirror_that_is_not_there_is_named(settings: Settings, tmp_path: Path):
    gone = tmp_path / "gone"
    with pytest.raises(RunError) as caught:
        load_graph(dataset("cora"), settings.model_copy(update={"mirror": str(gone), "data": tmp_path / "data"}))
    assert str(caught.value).startswith(f"the mirror's {gone}/index.json cannot be read: ")
    assert str(caught.value).endswith("set BITFRONT_MIRROR right or unset it")


def test_a_data_folder_that_cannot_be_written_is_named(settings: Settings, tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(RunError, match=r"^the data folder .* cannot be written: .*; set BITFRONT_DATA$"):
        load_graph(dataset("cora"), settings.model_copy(update={"data": blocked / "data"}))
