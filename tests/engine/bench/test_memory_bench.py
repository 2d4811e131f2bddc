"""The bench of training's peak memory: a small run, and how its goals are judged."""

from __future__ import annotations

import sys

import pytest

from engine.bench import BENCHES
from engine.bench.memory import judge
from engine.bench.steps import Variant


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_a_small_run_gives_every_column():
    bench = BENCHES["memory"]
    report = bench.run(datasets="karate", wanted=lambda *_: [Variant("karate", "gcn", "bitfront", "fp32")])
    assert [set(row) for row in report.rows] == [set(bench.columns)]
    row = report.rows[0]
    assert (row["dataset"], row["variant"], row["ratio"], row["twin"], row["process_ratio"]) == (
        "karate",
        "fp32",
        1,
        1,
        1,
    )
    # At least the features, and what Adam keeps of 34×16 + 16×4 weights with their biases: twice, and the gradients.
    assert row["torch"] * 1e6 > 4 * (34 * 34 + 4 * (34 * 16 + 16 * 4 + 20))
    assert report.goals == []


def row(variant: str, ratio: float, hidden: float, dataset: str = "cora") -> dict:
    return {"dataset": dataset, "model": "gcn", "variant": variant, "ratio": ratio, "hidden": hidden}


def test_goals_are_of_dense_features_of_coras_sparse_ones_and_of_what_is_hidden():
    rows = [
        row("PyG, edge_index", 1.0, 1.5),
        row("int8", 0.96, 1.1),
        row("int8, sparse features", 0.15, 1.3),
        row("int8, sparse features", 0.5, 1.2, "pubmed"),
        row("dq-int8", 2.0, 1.0),
    ]
    assert [(goal.goal, goal.value, goal.met) for goal in judge(rows)] == [
        ("peak at most 0.95 × PyG's, gcn int8, cora", "0.96", False),
        ("process' peak at most 1.2 × the protocol's, gcn int8, cora", "1.10", True),
        ("peak at most 0.15 × PyG's, gcn int8, sparse features, cora", "0.15", True),
        ("process' peak at most 1.2 × the protocol's, gcn int8, sparse features, cora", "1.30", False),
        ("process' peak at most 1.2 × the protocol's, gcn int8, sparse features, pubmed", "1.20", True),
        ("process' peak at most 1.2 × the protocol's, gcn dq-int8, cora", "1.00", True),
    ]
