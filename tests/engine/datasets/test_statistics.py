"""Every dataset of the mirror has the statistics that its index states, and the catalogue's size where it is whole."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch

from engine.datasets import DATASETS
from engine.graph import Graph, load_graph
from engine.settings import Settings
from tests.conftest import find_mirror
from tests.engine.datasets.specs import dataset

COMPACT = {"mnist-superpixels": "MNIST", "cifar10-superpixels": "CIFAR10"}
"""Smaller than the published ones: the catalogue's size is that of those."""


def index() -> dict[str, str]:
    """The index's statistics by dataset; of a text for several, the part that names this one."""
    mirror = find_mirror()
    rows = json.loads((mirror / "index.json").read_text()) if mirror else []
    return {name: _part(row["stats"], name) for row in rows for name in row["datasets"]}


def _part(text: str, name: str) -> str:
    named = COMPACT.get(name, name)
    parts = [part for part in text.split(";") if part.strip().startswith(named)]
    about_another = re.match(r"(tox21|MNIST) ", text) and not parts
    return parts[0] if parts else "" if about_another else text


INDEX = index()


def stated(text: str) -> dict[str, float]:
    """ "188 graphs, 17.93 nodes" → {"graphs": 188, "nodes": 17.93}."""
    found = re.findall(r"([\d.]+) (?:directed )?(nodes|edges|features|classes|graphs|tasks)\b", text)
    return {what: float(number) for number, what in found}


def real(graph: Graph) -> dict[str, float]:
    size = graph.size
    return {
        "graphs": size.graphs,
        "nodes": size.nodes / size.graphs,
        "edges": size.edges / size.graphs,
        "features": size.features,
        "classes": size.classes,
        "tasks": size.classes,
    }


@pytest.mark.parametrize("name", INDEX)
def test_statistics(settings: Settings, name: str):
    graph = load_graph(dataset(name), settings)
    says, is_ = stated(INDEX[name]), real(graph)
    split = re.search(r"(\d+)/(\d+)/(\d+)", INDEX[name])
    if split:
        says["graphs"] = graph.size.graphs
        assert [int(mask.sum()) for mask in graph.masks.values()] == [int(part) for part in split.groups()]
    for what, number in says.items():
        places = 2 if what == "nodes" and "23.1" not in INDEX[name] else 1
        assert round(is_[what], places) == number, what
    if name not in COMPACT:
        assert replace(graph.size, degrees=None) == DATASETS[name].size(dataset(name)), "the catalogue's size"
    consistent(graph)


def consistent(graph: Graph) -> None:
    size = graph.size
    assert graph.x.shape == (size.nodes, size.features)
    assert graph.x.dtype == torch.float32
    assert graph.edge_index.dtype == torch.int64
    assert int(graph.edge_index.max()) < size.nodes
    assert sum(count for _, count in size.degrees or ()) == size.nodes
    if graph.graph is None:
        assert len(graph.y) == size.nodes
    else:
        assert len(graph.y) == size.graphs
        source, target = graph.graph[graph.edge_index]
        assert torch.equal(source, target), "no edge joins two graphs"
        assert torch.equal(graph.graph, graph.graph.sort().values)
    if graph.masks:
        assert list(graph.masks) == ["train", "val", "test"]
        together = torch.stack([mask.long() for mask in graph.masks.values()]).sum(0)
        assert len(together) == len(graph.y)
        assert int(together.max()) == 1, "the splits share nothing"
    if graph.y.dim() == 1:
        assert graph.y.dtype == torch.int64
        assert sorted(set(graph.y[graph.y >= 0].tolist())) == list(range(size.classes))
    else:
        assert graph.y.dtype == torch.float32


def test_every_dataset_of_the_mirror_is_in_the_catalogue(mirror):
    assert [name for name in INDEX if name not in DATASETS] == []


def test_labels_of_tox21_are_missing_for_some(settings: Settings, mirror):
    y = load_graph(dataset("tox21"), settings).y
    assert 0.1 < y.isnan().float().mean() < 0.2
    assert set(y[~y.isnan()].tolist()) == {0.0, 1.0}


def test_a_split_made_here_is_the_stated_one(settings: Settings, mirror):
    graph = load_graph(dataset("amazon-computers"), settings)
    for split, each in (("train", 20), ("val", 30)):
        assert graph.y[graph.masks[split]].bincount().tolist() == [each] * 10
    assert int(sum(mask.sum() for mask in graph.masks.values())) == graph.size.nodes
    other = load_graph(dataset("amazon-computers(split_seed=1)"), settings)
    assert not torch.equal(graph.masks["train"], other.masks["train"])
    assert other.provenance["fingerprint"] != graph.provenance["fingerprint"]


def test_unlabelled_nodes_of_cornell5_are_in_no_split(settings: Settings, mirror):
    graph = load_graph(dataset("cornell5"), settings)
    together = torch.stack(list(graph.masks.values())).any(0)
    assert torch.equal(together, graph.y >= 0)


def test_degree_features_are_one_hot_and_capped(settings: Settings, mirror):
    graph = load_graph(dataset("reddit-binary(degree_cap=9)"), settings)
    degrees = graph.edge_index[1].bincount(minlength=graph.size.nodes)
    assert graph.x.shape[1] == 10
    assert torch.equal(graph.x.argmax(1), degrees.clamp(max=9))
    assert torch.equal(graph.x.sum(1), torch.ones(graph.size.nodes))


def test_superpixel_edges_are_the_nearest_neighbours(settings: Settings, mirror):
    graph = load_graph(dataset("mnist-superpixels"), settings)
    assert set(graph.edge_index[0].bincount().tolist()) == {8}
    colour, place = graph.x[:, :1], graph.x[:, 1:]
    assert 0 <= float(colour.min()) <= float(colour.max()) <= 1
    near = (place[graph.edge_index[0]] - place[graph.edge_index[1]]).norm(dim=1).mean()
    assert near < 0.3, "neighbours lie near each other in an image of side 1"


def test_a_target_of_qm9_that_there_is_not_is_refused_with_the_list():
    from engine.errors import InputError

    with pytest.raises(InputError) as caught:
        dataset("qm9(target=19)")
    assert str(caught.value).startswith("qm9 has no target 19. Allowed: 0 mu, the dipole moment [D]; 1 alpha, ")
    assert str(caught.value).endswith("; 18 C, a rotational constant [GHz]")
