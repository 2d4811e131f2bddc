"""Look-alikes: exact sizes, heavy tails, homophily, simple graphs, repeatable, never taken for real."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import engine
from engine.datasets import DATASETS
from engine.datasets.entry import default_spec
from engine.errors import InputError
from engine.graph import load_graph
from engine.settings import Settings
from engine.spec import RunSpec


def dataset(text: str):
    return RunSpec.parse({"dataset": text, "model": "gcn"}).dataset


@pytest.mark.parametrize(
    ("text", "nodes", "edges", "features", "classes"),
    [
        ("like:cora", 2708, 10556, 1433, 7),
        ("like:karate", 34, 156, 34, 4),
        ("like:reddit(factor=0.01)", 2330, 1_146_158, 602, 41),
        ("like:amazon-computers(factor=0.5)", 6876, 245_860, 767, 10),
    ],
)
def test_the_size_is_the_originals_times_the_factor(
    settings: Settings, text: str, nodes: int, edges: int, features: int, classes: int
):
    spec = dataset(text)
    graph = load_graph(spec, settings)
    assert (graph.size.nodes, graph.size.edges) == (nodes, edges)
    assert (graph.size.features, graph.size.classes) == (features, classes)
    assert replace(graph.size, degrees=None) == DATASETS[spec.name].size(spec), "known before it is drawn"


def test_the_graph_is_undirected_simple_homophilous_and_heavy_tailed(settings: Settings):
    graph = load_graph(dataset("like:pubmed"), settings)
    source, target = graph.edge_index
    assert not (source == target).any()
    number = source * graph.size.nodes + target
    assert number.unique().numel() == number.numel(), "no edge twice"
    assert torch.equal((target * graph.size.nodes + source).sort().values, number.sort().values), "undirected"
    within = (graph.y[source] == graph.y[target]).float().mean().item()
    assert 0.75 < within < 0.9
    degree = graph.topology.in_degree.float()
    assert degree.max() > 20 * degree.mean()
    assert degree.median() < 0.7 * degree.mean()
    even = load_graph(dataset("like:pubmed(tail=0.0,homophily=0.0)"), settings)
    assert even.topology.in_degree.max() < 5 * degree.mean()


def test_each_split_has_each_class_and_no_node_is_in_two(settings: Settings):
    graph = load_graph(dataset("like:reddit(factor=0.01)"), settings)
    assert torch.stack(list(graph.masks.values())).sum(0).eq(1).all()
    for split, mask in graph.masks.items():
        assert len(set(graph.y[mask].tolist())) == 41, split
    assert graph.masks["train"].float().mean().item() == pytest.approx(0.6, abs=0.01)


def test_it_is_the_same_for_the_same_options_and_any_number_of_threads(settings: Settings):
    one = load_graph(dataset("like:flickr(factor=0.05)"), settings)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        two = load_graph(dataset("like:flickr(factor=0.05)"), settings)
    finally:
        torch.set_num_threads(threads)
    assert one.provenance["fingerprint"] == two.provenance["fingerprint"]
    other = load_graph(dataset("like:flickr(factor=0.05,graph_seed=1)"), settings)
    assert other.provenance["fingerprint"] != one.provenance["fingerprint"]


def test_it_is_called_synthetic_wherever_it_is_shown(settings: Settings):
    provenance = load_graph(dataset("like:cora"), settings).provenance
    assert provenance["dataset_label"] == "like:cora (synthetic)"
    assert provenance["synthetic"]
    assert provenance["caveat"] == "generated in the size of cora: accuracies say nothing about cora"
    entry = DATASETS["like:cora"]
    assert entry.synthetic
    assert "(synthetic)" in entry.summary
    assert entry.needs == "nothing"


def test_several_labels_a_node_where_the_original_has_them(settings: Settings):
    graph = load_graph(dataset("like:yelp(factor=0.01)"), settings)
    assert graph.y.shape == (7168, 100)
    assert graph.y.sum(1).eq(3).all()


def test_training_learns(settings: Settings):
    spec = RunSpec.parse(
        {"dataset": "like:reddit(factor=0.01)", "model": "gcn", "scheme": "int8", "training": {"epochs": 30}}
    )
    history = engine.run(spec, settings).history.columns
    first, *_, last = history["train_loss"]
    assert first is not None
    assert last is not None
    assert last < first - 0.5
    # The largest of the 41 classes has a twelfth of the nodes.
    assert (history["test_metric"][-1] or 0) > 25


def test_every_dataset_of_known_size_has_a_look_alike():
    for name, entry in DATASETS.items():
        spec = default_spec(entry)
        if spec is None:
            assert f"like:{name}" not in DATASETS
            continue
        size, made = entry.size(spec), DATASETS[f"like:{name}"]
        like = made.size(made.spec(name=made.name))
        assert replace(like, edges=0) == replace(size, edges=0), name
        assert abs(like.edges - size.edges) <= 1, name
        assert made.synthetic
        assert f"like:{name}" in DATASETS.members


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("like:mutag", (188,)),
        ("like:imdb-binary", (1000,)),
        ("like:collab(factor=0.05)", (250,)),
        ("like:tox21(factor=0.05)", (391, 12)),
        ("like:zinc(factor=0.05)", (600, 1)),
        ("like:ppi(factor=0.9)", (51250, 121)),
    ],
)
def test_a_set_of_graphs_has_as_many_graphs_and_no_edge_between_two(settings: Settings, text: str, shape):
    spec = dataset(text)
    graph = load_graph(spec, settings)
    assert replace(graph.size, degrees=None) == DATASETS[spec.name].size(spec), "known before it is drawn"
    assert tuple(graph.y.shape) == shape
    assert graph.graph is not None
    source, target = graph.edge_index
    assert torch.equal(graph.graph[source], graph.graph[target])
    number = source * graph.size.nodes + target
    assert number.unique().numel() == number.numel(), "no edge twice"
    assert not (source == target).any()
    assert torch.bincount(graph.graph).min() >= 2


def test_training_on_a_set_learns(settings: Settings):
    spec = RunSpec.parse({"dataset": "like:mutag", "model": "gin", "scheme": "int8", "training": {"epochs": 30}})
    assert (engine.run(spec, settings).summary.test_at_best_val or 0) > 75


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "like:cora(factor=0.01)",
            "like:cora(factor=0.01) is too small: 27 nodes in 7 classes leave 2 to the smallest, 5 are needed; "
            "take a larger factor",
        ),
        (
            "like:reddit(factor=0.003)",
            "like:reddit(factor=0.003) is too dense: 343848 edges between 699 nodes are more than half of the "
            "possible ones; take a larger factor",
        ),
        ("like:cora(train=0.9)", "like:cora has no test nodes: train + val = 1.1; it should be less than 1"),
        (
            "like:mutag(factor=0.1)",
            "like:mutag(factor=0.1) is too small: 8 graphs in the smallest class, 20 are needed; take a larger factor",
        ),
        ("like:folder", "there is no look-alike of folder, whose size the files tell: take a dataset's name"),
        ("like", "the dataset 'like' needs a name after it: like:amazon-computers"),
        ("alike:cora", "unknown family of datasets 'alike': did you mean like? Allowed: like"),
        ("like:cora(fctor=2)", "unknown setting 'dataset.fctor': did you mean dataset.factor or "),
    ],
)
def test_what_cannot_be_is_refused(text: str, message: str):
    with pytest.raises(InputError) as caught:
        dataset(text)
    assert str(caught.value).startswith(message)
