"""Link prediction: an encoder's node vectors, scored by their dot products, in fp32.

Edges are undirected, without loops and each once, before they are parted: neither the reverse nor a repetition of a
held-out edge stays in training. Messages go along training edges only, in training and in validation; to test, also
along the validation edges (PyG's RandomLinkSplit).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from engine.datasets import GraphSize
from engine.errors import RunError
from engine.full_batch import judged
from engine.graph import Graph
from engine.kernels.pairs import dot_pairs
from engine.layers.operand import Constant
from engine.metrics import binary_accuracy, binary_cross_entropy, roc_auc
from engine.problem import Batch, Measure, Predict, Values, View
from engine.randomness import make_key, stream_id, uniform
from engine.topology import Topology

MEASURE = Measure("ROC-AUC", "%", True, binary_cross_entropy, roc_auc)
ACCURACY = "accuracy at ½ (%)"
"""The other metric of the test links: which side of probability ½ they lie on."""
MOST_ROUNDS = 50


@dataclass(frozen=True)
class LinkSplit:
    """What each split sees and is asked: structures, and pairs of nodes [2, P] that are linked or not."""

    messages: dict[str, Tensor]
    """Split → the edges [2, E] that its messages go along, both ways."""
    linked: dict[str, Tensor]
    unlinked: dict[str, Tensor]
    """Of "val" and "test", drawn once; training draws its own anew each epoch."""


def split_links(edge_index: Tensor, nodes: int, val: float, test: float, seed: int) -> LinkSplit:
    """Part the edges by PyG's RandomLinkSplit. Raises RunError where there are too few edges for the shares."""
    from torch_geometric.data import Data
    from torch_geometric.transforms import RandomLinkSplit
    from torch_geometric.utils import remove_self_loops, to_undirected

    edges = to_undirected(remove_self_loops(edge_index)[0], num_nodes=nodes)
    pairs = edges.shape[1] // 2
    if min(int(val * pairs), int(test * pairs), pairs - int(val * pairs) - int(test * pairs)) < 1:
        raise RunError(
            f"{pairs} undirected edges are too few to hold out {val:.0%} for validation and {test:.0%} for the test: "
            "raise task.val and task.test, or take a larger graph"
        )
    if nodes * (nodes - 1) // 2 - pairs < int(val * pairs) + int(test * pairs):
        raise RunError("nearly every pair of nodes is linked: there are not enough unlinked pairs to test on")
    parting = RandomLinkSplit(
        num_val=val, num_test=test, is_undirected=True, add_negative_train_samples=False, split_labels=True
    )
    state = random.getstate()
    with torch.random.fork_rng(devices=[]):
        random.seed(seed)
        torch.manual_seed(seed)
        parts = parting(Data(edge_index=edges, num_nodes=nodes))
    random.setstate(state)
    named = dict(zip(("train", "val", "test"), parts, strict=True))
    return LinkSplit(
        messages={split: part.edge_index for split, part in named.items()},
        linked={split: part.pos_edge_label_index for split, part in named.items()},
        unlinked={split: named[split].neg_edge_label_index for split in ("val", "test")},
    )


def draw_unlinked(linked: Tensor, nodes: int, count: int, seed: int, step: int) -> Tensor:
    """``count`` pairs [2, count] of different nodes that no edge joins, by the stream "negative samples".

    ``linked``: both directions of every edge as source·nodes + target, int64, ascending. Raises RunError where there
    are hardly any such pairs.
    """
    found: list[Tensor] = []
    missing = count
    for number in range(MOST_ROUNDS):
        stream = "negative samples" if number == 0 else f"negative samples/{number}"
        key = make_key(seed, stream_id(stream), step)
        draws = uniform(key, (2, missing + missing // 8 + 16), str(linked.device)).double()
        pairs = (draws * nodes).long()
        codes = pairs[0] * nodes + pairs[1]
        place = torch.searchsorted(linked, codes).clamp(max=max(linked.numel() - 1, 0))
        free = pairs[0] != pairs[1]
        if linked.numel():
            free &= linked[place] != codes
        found.append(pairs[:, free][:, :missing])
        missing -= found[-1].shape[1]
        if not missing:
            return torch.cat(found, dim=1)
    raise RunError("nearly every pair of nodes is linked: there are not enough unlinked pairs to train on")


def dot_scores(vectors: Tensor, pairs: Tensor) -> Tensor:
    """z_a·z_b of node vectors [N, D] and pairs [2, P] → [P], fp32."""
    return dot_pairs(vectors.float(), pairs)


class LinkPrediction:
    """Full-batch link prediction on one graph; a batch's target are the labels of its pairs, which ``select`` names."""

    metric, unit, higher_is_better = MEASURE.metric, MEASURE.unit, MEASURE.higher_is_better
    measure = MEASURE

    def __init__(self, graph: Graph, device: torch.device, split: LinkSplit, *, width: int, seed: int) -> None:
        self.seed, self.nodes = seed, graph.size.nodes
        self.x = Constant.of(graph.x.to(device))
        self.seen = Topology(split.messages["train"].to(device), self.nodes)
        self.tested = Topology(split.messages["test"].to(device), self.nodes)
        source, target = split.messages["train"].to(device)
        self.codes = (source * self.nodes + target).sort().values
        self.linked = {name: pairs.to(device) for name, pairs in split.linked.items()}
        known = {name: pairs.to(device) for name, pairs in split.unlinked.items()}
        # Training is judged on pairs of its own that stay the same; epochs count from 1.
        self.unlinked = {"train": self._draw(0), **known}
        self.size: GraphSize = replace(graph.size, edges=source.numel(), classes=width, degrees=self.seen.degree_counts)

    def _draw(self, epoch: int) -> Tensor:
        return draw_unlinked(self.codes, self.nodes, self.linked["train"].shape[1], self.seed, epoch)

    def batches(self, epoch: int) -> Iterator[Batch]:
        pairs, labels = _labelled(self.linked["train"], self._draw(epoch))
        yield Batch(self.x, self.seen, labels, pairs, weight=labels.numel())

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        assert batch.select is not None
        return MEASURE.loss(dot_scores(outputs, batch.select), batch.target)

    def evaluate(self, predict: Predict) -> tuple[Values, Values]:
        seen = predict(self.x, self.seen)
        vectors = {"train": seen, "val": seen, "test": predict(self.x, self.tested)}
        losses: Values = {}
        scores: Values = {}
        for split, outputs in vectors.items():
            pairs, labels = _labelled(self.linked[split], self.unlinked[split])
            found = dot_scores(outputs, pairs)
            losses[split], scores[split] = judged(MEASURE, found, labels)
            if split == "test":
                scores[ACCURACY] = binary_accuracy(found, labels).item()
        return losses, scores

    def views(self) -> Iterator[View]:
        """The nodes' vectors along the edges that the test sees."""
        yield View(self.x, self.tested)

    @property
    def pairs(self) -> Tensor:
        """The pairs [2, P] that test, linked ones first."""
        return _labelled(self.linked["test"], self.unlinked["test"])[0]


def _labelled(linked: Tensor, unlinked: Tensor) -> tuple[Tensor, Tensor]:
    labels = torch.zeros(linked.shape[1] + unlinked.shape[1], device=linked.device)
    labels[: linked.shape[1]] = 1
    return torch.cat([linked, unlinked], dim=1), labels
