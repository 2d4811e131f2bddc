"""Graphs from datasets: features, splits, determinism, kept copies."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.errors import InputError
from engine.graph import load_graph
from engine.settings import Settings
from tests.engine.datasets.specs import dataset


def test_features_of_words_are_divided_by_their_sum(settings: Settings, mirror: Path):
    sums = load_graph(dataset("cora"), settings).x.sum(1)
    torch.testing.assert_close(sums[sums > 0], torch.ones(int((sums > 0).sum())))
    counts = load_graph(dataset("cora(normalize_features=false)"), settings).x.sum(1)
    assert counts.max() > 1


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


def test_the_karate_club_is_the_one_of_pyg(settings: Settings):
    from torch_geometric.datasets import KarateClub

    graph = load_graph(dataset("karate"), settings)
    theirs: Any = KarateClub()[0]
    ours = {"x": graph.x, "edge_index": graph.edge_index, "y": graph.y, "train_mask": graph.masks["train"]}
    for name, tensor in ours.items():
        assert tensor.dtype == theirs[name].dtype, name
        assert torch.equal(tensor, theirs[name]), name


GENERATED = {
    "karate": "397c359f5030bb18",
    "sbm": "0e7cc3847019b1c0",
    "sbm(nodes=600,classes=3,features=60,degree=10.0,homophily=0.9)": "40916da0f1f5fad2",
    "sbm(nodes=200,degree=100.0)": "a4416b7efa7202a3",
}
"""What the loaders that needed PyG gave, which PyG's `to_undirected` and `coalesce` had made."""


def test_a_generated_graph_is_the_same_as_ever_and_needs_no_pyg(tmp_path: Path):
    program = f"""
import sys
from pathlib import Path
from engine.graph import load_graph
from engine.settings import Settings
from engine.spec import RunSpec
for text in {list(GENERATED)!r}:
    spec = RunSpec.parse({{"dataset": text, "model": "gcn"}})
    print(load_graph(spec.dataset, Settings(data=Path({str(tmp_path)!r}))).provenance["fingerprint"])
print("torch_geometric" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [*GENERATED.values(), "False"]


def test_a_kept_copy_equals_what_the_loader_gave_and_needs_no_pyg(settings: Settings, mirror: Path, tmp_path: Path):
    fresh = settings.model_copy(update={"data": tmp_path / "data"})
    first = load_graph(dataset("cora"), fresh)
    program = f"""
import sys
from pathlib import Path
from engine.graph import load_graph
from engine.settings import Settings
from engine.spec import RunSpec
spec = RunSpec.parse({{"dataset": "cora", "model": "gcn"}})
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
