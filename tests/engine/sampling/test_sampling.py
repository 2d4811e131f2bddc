"""Batches of one graph's nodes: what they cover, that they are unbiased and repeatable, and equal to the full batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

import engine
from engine.datasets import GraphSize
from engine.errors import InputError, RunError
from engine.graph import load_graph
from engine.kernels.aggregate import aggregate
from engine.layers.gcn import GCNLayer
from engine.layers.neighbours import mean_neighbours
from engine.objectives import OBJECTIVES
from engine.sampled_topology import SampledTopology
from engine.sampling import BATCHINGS
from engine.settings import Settings
from engine.spec import RunSpec
from engine.topology import Topology
from tests.engine.kernels.graphs import normal

MODELS = ("gcn", "sage", "sage(aggregate=max)", "gin", "gat", "agnn")


def spec(batching: str = "full", dataset: str = "like:pubmed(factor=0.05)", **settings) -> RunSpec:
    training = {"epochs": 3, "batching": batching}
    return RunSpec.parse({"dataset": dataset, "model": "gcn", "training": training, **settings})


def sampler(batching: str, topology: Topology, training: torch.Tensor, rounds: int = 2, seed: int = 0):
    found = spec(batching).training.parsed_batching
    make = BATCHINGS[found.name].make
    assert make is not None
    size = GraphSize(topology.nodes, topology.edge_index.shape[1], 1, 2, topology.degree_counts)
    return make(found, topology, size, training, rounds, seed)


def graph(nodes: int = 60, edges: int = 600, seed: int = 0) -> Topology:
    """A directed graph with loops, repeated edges and hubs."""
    generator = torch.Generator().manual_seed(seed)
    source = (torch.rand(edges, generator=generator) ** 2 * nodes).long()
    target = (torch.rand(edges, generator=generator) ** 2 * nodes).long()
    return Topology(torch.stack([source, target]), nodes)


def test_clusters_cover_every_node_once_an_epoch():
    topology = graph()
    found = sampler("clusters(parts=12,per_batch=5)", topology, torch.ones(60, dtype=torch.bool))
    for epoch in (1, 2):
        samples = list(found.batches(epoch))
        assert len(samples) == 3
        assert torch.equal(torch.cat([sample.nodes for sample in samples]).sort().values, torch.arange(60))
    assert not torch.equal(next(found.batches(1)).nodes, next(found.batches(2)).nodes), "drawn anew each epoch"


def test_a_cluster_keeps_the_edges_between_its_nodes():
    topology = graph()
    for sample in sampler("clusters(parts=6,per_batch=2)", topology, torch.ones(60, dtype=torch.bool)).batches(1):
        inside = torch.isin(topology.edge_index, sample.nodes).all(0)
        expected = topology.edge_index[:, inside]
        found = sample.nodes[sample.topology.edge_index]
        assert sorted(map(tuple, found.t().tolist())) == sorted(map(tuple, expected.t().tolist()))
        assert torch.equal(sample.topology.in_degree, topology.in_degree[sample.nodes])
        assert torch.equal(sample.topology.degree_rank, topology.degree_rank[sample.nodes])


def test_neighbours_train_every_training_node_once_an_epoch():
    training = torch.arange(60) % 3 == 0
    found = sampler("neighbours(fanout=2,batch_size=7)", graph(), training)
    for epoch in (1, 2):
        samples = list(found.batches(epoch))
        roots = torch.cat([sample.nodes[sample.select] for sample in samples])
        assert len(samples) == 3
        assert torch.equal(roots.sort().values, training.nonzero().squeeze(1))


@pytest.mark.parametrize("batching", ["clusters(parts=6,per_batch=2)", "neighbours(fanout=3,batch_size=16)"])
def test_batches_are_a_function_of_seed_and_epoch(batching: str):
    def edges(seed: int, epoch: int) -> list[list[list[int]]]:
        found = sampler(batching, graph(), torch.ones(60, dtype=torch.bool), seed=seed)
        return [sample.nodes[sample.topology.edge_index].tolist() for sample in found.batches(epoch)]

    before = torch.get_num_threads()
    first = edges(0, 2)
    torch.set_num_threads(2)
    try:
        assert edges(0, 2) == first, "and of no number of threads"
    finally:
        torch.set_num_threads(before)
    assert edges(0, 1) != first
    assert edges(1, 2) != first


def averages(draws: int, value) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean over the draws' values for all nodes, and its standard error."""
    values = torch.stack([value(number) for number in range(draws)])
    return values.mean(0), values.std(0) / draws**0.5


@pytest.mark.parametrize("fanout", [1, 3])
def test_sampled_means_sums_and_convolutions_are_unbiased_over_draws(fanout: int):
    from engine.randomness import make_key

    topology, every = graph(40, 400), torch.arange(40)
    x = normal(40, 3, dtype=torch.float32)
    layer = GCNLayer(3, 2)
    layer.reset_parameters(torch.Generator().manual_seed(0))
    layer.double()
    layer.to(torch.float32)

    def sampled(number: int) -> SampledTopology:
        return SampledTopology.around(topology, every, [fanout], make_key(0, 0, number))[1]

    forms = {
        "mean": lambda t: mean_neighbours(x, x, t.plain),
        "sum": lambda t: aggregate(x, t.plain),
        "gcn": lambda t: layer(x, t).detach(),
    }
    for name, form in forms.items():
        found, error = averages(2000, lambda number, form=form: form(sampled(number)))
        whole = form(topology)
        # A node of few edges takes them all: no deviation but rounding's.
        far = (found - whole).abs() - 5 * error
        assert (far < 1e-5).all(), name
        assert (error > 1e-3).any(), name


@pytest.mark.parametrize("scheme", ["fp32", "int8"])
@pytest.mark.parametrize("model", MODELS)
def test_one_cluster_is_the_full_batch_bit_for_bit(settings: Settings, model: str, scheme: str):
    settings = settings.model_copy(update={"compiled": False})  # batches are not: their sums have another order
    full, one = (
        engine.run(spec(batching, model=model, scheme=scheme), settings).history.columns
        for batching in ("full", "clusters(parts=1,per_batch=1)")
    )
    assert {**full, "seconds": None} == {**one, "seconds": None}


@pytest.mark.parametrize("model", MODELS)
def test_all_neighbours_are_the_full_batch(settings: Settings, model: str):
    """Without dropout, whose mask follows the places in the batch, and to float32: sums come in another order."""
    options = "dropout=0.0" if "(" not in model else "aggregate=max,dropout=0.0"
    text = f"{model.partition('(')[0]}({options})"
    if model == "gat":
        text = "gat(dropout=0.0,attention_dropout=0.0)"
    full, all_of_them = (
        engine.run(spec(batching, model=text), settings).history.columns["train_loss"]
        for batching in ("full", "neighbours(fanout=all,batch_size=100000)")
    )
    assert full == pytest.approx(all_of_them, rel=1e-4)


@pytest.mark.parametrize(
    "batching", ["clusters(parts=8,per_batch=2)", "neighbours(fanout=5,batch_size=256)", "neighbours(fanout=8-4)"]
)
def test_quantized_training_in_batches_learns_and_repeats(settings: Settings, batching: str):
    run = spec(batching, "like:pubmed(factor=0.1)", model="sage", scheme="dq-int8")
    run = run.model_copy(update={"training": run.training.model_copy(update={"epochs": 8})})
    result = engine.run(run, settings)
    first, *_, last = result.history.columns["train_loss"]
    assert first is not None
    assert last is not None
    assert last < 0.7 * first
    assert engine.run(run, settings).history.columns["train_loss"] == result.history.columns["train_loss"]


@pytest.mark.parametrize(
    ("dataset", "model", "batching", "least"),
    [
        # Full batch for as many epochs: 73 %; the largest class has 40 % and 38 % of the nodes.
        ("pubmed", "gcn", "clusters(parts=20,per_batch=4)", 70),
        ("pubmed", "gcn", "neighbours(fanout=10,batch_size=512)", 68),
        ("amazon-computers", "sage(hidden=64)", "neighbours(fanout=10,batch_size=128)", 50),
    ],
)
def test_real_graphs_train_in_batches_at_int8(
    settings: Settings, mirror, dataset: str, model: str, batching: str, least: float
):
    run = spec(batching, dataset, model=model, scheme="int8")
    training = run.training.model_copy(update={"epochs": 20})
    found = engine.run(run.model_copy(update={"training": training}), settings).summary.test_at_best_val
    assert found is not None
    assert found > least


def test_an_epochs_size_is_that_of_its_batches(settings: Settings):
    run = spec("clusters(parts=8,per_batch=2)")
    loaded = load_graph(run.dataset, settings)
    problem = OBJECTIVES[run.task.name].prepare(run.task, loaded, run, torch.device("cpu"))
    batches = list(problem.batches(1))
    assert problem.size.batches == len(batches) == 4
    assert problem.size.nodes == sum(batch.topology.nodes for batch in batches) == loaded.size.nodes
    assert problem.size.edges == sum(batch.topology.edge_index.shape[1] for batch in batches) < loaded.size.edges
    expected = OBJECTIVES[run.task.name].expect(run.task, replace(loaded.size), run)
    assert (expected.batches, expected.nodes) == (problem.size.batches, problem.size.nodes)


@pytest.mark.parametrize(
    ("settings_of", "message"),
    [
        (
            {"training": {"batching": "clustres"}},
            "unknown batching 'clustres': did you mean clusters? Allowed: clusters, full, neighbours",
        ),
        (
            {"training": {"batching": "clusters(parts=3,per_batch=4)"}},
            "clusters takes 4 parts a batch of only 3: per_batch must be at most parts",
        ),
        (
            {"training": {"batching": "neighbours(fanout=0)"}},
            "neighbours cannot take the fanout '0': give a number from 1 on, all, or one a layer (25-10)",
        ),
        (
            {"training": {"batching": "neighbours(fanout=25-10-5)"}},
            "neighbours has a fanout for 3 layers (25-10-5), but the model has 2: give one number, or one a layer",
        ),
        (
            {"training": {"batching": "neighbours"}, "task": "link-prediction"},
            "training.batching = 'neighbours' is not allowed: link-prediction does not train on batches of one graph's "
            "nodes; use full",
        ),
        (
            {"training": {"batching": "clusters"}, "dataset": "ppi"},
            "training.batching = 'clusters' is not allowed: ppi is a set of graphs; use full, and "
            "training.batch_size for the graphs a batch",
        ),
    ],
)
def test_what_does_not_fit_is_refused(settings_of: dict, message: str):
    with pytest.raises(InputError) as caught:
        RunSpec.parse({"dataset": "cora", "model": "gcn", **settings_of})
    assert str(caught.value) == message


def test_more_clusters_than_nodes_are_refused(settings: Settings):
    with pytest.raises(RunError) as caught:
        engine.run(spec("clusters(parts=40)", "karate"), settings)
    assert str(caught.value) == "40 clusters are more than the graph's 34 nodes: take fewer parts"


def test_the_text_keeps_only_what_differs():
    assert spec("clusters( parts=50, per_batch=2 )").training.batching == "clusters(per_batch=2)"
    assert spec("neighbours(fanout=25-10,batch_size=1024)").training.batching == "neighbours(fanout=25-10)"
    assert RunSpec.from_json(spec("neighbours(fanout=all)").to_json()).training.batching == "neighbours(fanout=all)"
