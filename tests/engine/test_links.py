"""Link prediction: a split without leaks, fresh negatives, and the figures of its two metrics."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, roc_auc_score

from engine.datasets import GraphSize
from engine.errors import RunError
from engine.graph import Graph
from engine.links import ACCURACY, LinkPrediction, draw_unlinked, split_links

CPU = torch.device("cpu")


def directed(nodes: int = 40, edges: int = 160, seed: int = 0) -> torch.Tensor:
    """Random edges with some reversed, some doubled, and loops."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.randint(nodes, (2, edges), generator=generator)
    return torch.cat([found, found[:, :20], found[:, 20:40].flip(0), torch.tensor([[3, 4], [3, 4]])], dim=1)


def pairs(edges: torch.Tensor) -> set[frozenset[int]]:
    return {frozenset(edge) for edge in edges.t().tolist()}


@given(st.integers(0, 200))
def test_nothing_that_is_held_out_is_ever_seen(seed: int):
    edges = directed(seed=seed)
    split = split_links(edges, 40, 0.1, 0.2, seed)
    messages = {name: pairs(found) for name, found in split.messages.items()}
    linked = {name: pairs(found) for name, found in split.linked.items()}
    assert messages["train"] == messages["val"] == linked["train"]
    assert messages["test"] == linked["train"] | linked["val"]
    assert not linked["train"] & linked["val"]
    assert not (linked["train"] | linked["val"]) & linked["test"]
    everything = {pair for pair in pairs(edges) if len(pair) == 2}
    assert linked["train"] | linked["val"] | linked["test"] == everything
    for name in ("val", "test"):
        assert not pairs(split.unlinked[name]) & everything
        assert split.unlinked[name].shape == split.linked[name].shape
    assert all(len(pair) == 2 for pair in messages["test"]), "no loops"


def test_messages_go_both_ways():
    edges = split_links(directed(), 40, 0.1, 0.2, 0).messages["train"]
    assert {tuple(edge) for edge in edges.t().tolist()} == {tuple(edge) for edge in edges.flip(0).t().tolist()}


def test_a_split_is_that_of_its_seed_and_leaves_other_generators_alone():
    torch.manual_seed(7)
    random.seed(7)
    first = split_links(directed(), 40, 0.1, 0.2, 3)
    after = torch.rand(3), random.random()
    torch.manual_seed(7)
    random.seed(7)
    assert torch.equal(torch.rand(3), after[0])
    assert random.random() == after[1]
    again, other = split_links(directed(), 40, 0.1, 0.2, 3), split_links(directed(), 40, 0.1, 0.2, 4)
    assert torch.equal(first.linked["test"], again.linked["test"])
    assert torch.equal(first.unlinked["test"], again.unlinked["test"])
    assert not torch.equal(first.linked["test"], other.linked["test"])


@given(st.integers(0, 2**31), st.integers(0, 500))
def test_unlinked_pairs_are_free_of_edges_and_loops(seed: int, epoch: int):
    messages = split_links(directed(), 40, 0.1, 0.2, 0).messages["train"]
    codes = (messages[0] * 40 + messages[1]).sort().values
    found = draw_unlinked(codes, 40, 90, seed, epoch)
    assert found.shape == (2, 90)
    assert (found[0] != found[1]).all()
    assert not set((found[0] * 40 + found[1]).tolist()) & set(codes.tolist())
    assert torch.equal(found, draw_unlinked(codes, 40, 90, seed, epoch))
    assert not torch.equal(found, draw_unlinked(codes, 40, 90, seed, epoch + 1))


def test_a_complete_graph_has_no_unlinked_pairs():
    complete = (1 - torch.eye(6)).nonzero().t()
    with pytest.raises(RunError) as caught:
        split_links(complete, 6, 0.2, 0.2, 0)
    assert str(caught.value) == ("nearly every pair of nodes is linked: there are not enough unlinked pairs to test on")
    with pytest.raises(RunError) as caught:
        draw_unlinked((complete[0] * 6 + complete[1]).sort().values, 6, 5, 0, 1)
    assert str(caught.value) == (
        "nearly every pair of nodes is linked: there are not enough unlinked pairs to train on"
    )


def test_too_few_edges_for_the_shares_are_refused():
    with pytest.raises(RunError) as caught:
        split_links(torch.tensor([[0, 1, 2], [1, 2, 3]]), 9, 0.05, 0.1, 0)
    assert str(caught.value) == (
        "3 undirected edges are too few to hold out 5% for validation and 10% for the test: "
        "raise task.val and task.test, or take a larger graph"
    )


def problem() -> LinkPrediction:
    edges = directed()
    generator = torch.Generator().manual_seed(1)
    size = GraphSize(40, edges.shape[1], 5, 2)
    graph = Graph(torch.randn(40, 5, generator=generator), edges, torch.zeros(40).long(), None, {}, size, {})
    return LinkPrediction(graph, CPU, split_links(edges, 40, 0.1, 0.2, 0), width=3, seed=0)


def test_each_epoch_has_the_same_links_and_other_negatives():
    task = problem()
    (first,), (second,) = task.batches(1), task.batches(2)
    assert first.select is not None
    assert second.select is not None
    count = task.linked["train"].shape[1]
    assert torch.equal(first.select[:, :count], second.select[:, :count])
    assert not torch.equal(first.select[:, count:], second.select[:, count:])
    assert first.target.tolist() == [1.0] * count + [0.0] * count
    assert first.weight == 2 * count
    assert task.size.classes == 3
    assert task.size.edges == 2 * count


def test_both_metrics_are_those_of_the_pairs_dot_products():
    task = problem()
    generator = torch.Generator().manual_seed(2)
    vectors = {id(topology): torch.randn(40, 3, generator=generator) for topology in (task.seen, task.tested)}
    _, scores = task.evaluate(lambda x, topology: vectors[id(topology)])
    for split, topology in (("val", task.seen), ("test", task.tested)):
        ends = torch.cat([task.linked[split], task.unlinked[split]], dim=1)
        labels = [1] * task.linked[split].shape[1] + [0] * task.unlinked[split].shape[1]
        found = (vectors[id(topology)][ends[0]] * vectors[id(topology)][ends[1]]).sum(1).numpy()
        assert scores[split] == pytest.approx(100 * roc_auc_score(labels, found))
        if split == "test":
            assert scores[ACCURACY] == pytest.approx(100 * accuracy_score(labels, found > 0))
