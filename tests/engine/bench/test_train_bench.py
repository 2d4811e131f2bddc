"""The bench of training steps: a small run, how rows are made, and how goals are judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.bench import BENCHES
from engine.bench.processes import ask, compared, environment, ratio, take_turns
from engine.bench.steps import Variant, prepare
from engine.bench.train import judge, limit, variants
from engine.errors import BitfrontError, InputError


def test_a_small_run_gives_every_column():
    bench = BENCHES["train"]
    # One variant, its own denominator, under one malloc, without and with input dropout: two processes that train.
    alone = Variant("karate", "gcn", "bitfront", "int8")
    report = bench.run(
        datasets="karate", models="gcn", rounds=1, seconds=0.01, threads=1, wanted=lambda *_: [alone], mallocs=["tuned"]
    )
    assert [set(row) for row in report.rows] == [{*bench.columns, "better"} - {"default", "default_ms"}]
    row = report.rows[0]
    assert (row["dataset"], row["model"], row["variant"], row["threads"]) == ("karate", "gcn", "int8", 1)
    assert (row["tuned"], row["ratio"], row["dropped"], row["better"]) == (1, 1, 1, "tuned")
    assert min(row["tuned_ms"], row["dropped_ms"]) > 0
    assert [(goal.goal, goal.value, goal.met) for goal in report.goals] == [
        ("gcn int8 step at most 1 × PyG's, karate, 1 thread", "1.00", True)
    ]
    assert report.notes[2].startswith("tuned malloc: ")
    assert "MALLOC_MMAP_THRESHOLD_=1073741824" in report.notes[2]


def test_ratios_are_of_the_same_round_and_count_under_the_better_malloc():
    assert ratio([3.0, 30.0, 5.0], [1.0, 10.0, 1.0]) == 3
    times = {
        "default": {"base": {1: [4.0, 4.0]}, "ours": {1: [6.0, 6.0]}},
        "tuned": {"base": {1: [2.0, 2.0]}, "ours": {1: [4.0, 4.0]}},
    }
    assert compared(times, "ours", "base", 1) == {  # pyright: ignore[reportArgumentType]
        "default_ms": 6000,
        "tuned_ms": 4000,
        "default": 1.5,
        "tuned": 2.0,
        "better": "tuned",
        "ratio": 2.0,
    }


def test_variants_stand_beside_the_peers_with_the_denominator_first():
    assert [each.name for each in variants("cora", "gcn")] == [
        "PyG, edge_index",
        "PyG, torch.sparse",
        "int8, plain formula",
        "msfp13, plain formula",
        "fp32",
        "int8",
        "msfp13",
        "dq-int8",
        "int8, sparse features",
        "msfp13, sparse features",
        "dq-int8, sparse features",
    ]
    assert [each.name for each in variants("amazon-computers", "gat")] == [
        "PyG, edge_index",
        "PyG, torch.sparse",
        "fp32",
        "int8",
    ]


def test_widths_are_those_of_the_promise():
    hidden = {
        (dataset, model): Variant(dataset, model, "pyg").spec.model.hidden  # pyright: ignore[reportAttributeAccessIssue]
        for dataset in ("cora", "pubmed", "amazon-computers")
        for model in ("gcn", "gat")
    }
    assert hidden == {
        ("cora", "gcn"): 16,
        ("cora", "gat"): 8,
        ("pubmed", "gcn"): 16,
        ("pubmed", "gat"): 8,
        ("amazon-computers", "gcn"): 64,
        ("amazon-computers", "gat"): 8,
    }


def test_promises_by_dataset_model_and_scheme():
    assert {
        (dataset, model, scheme): limit(dataset, model, scheme)
        for dataset in ("cora", "amazon-computers")
        for model in ("gcn", "sage")
        for scheme in ("int8", "msfp13", "dq-int8", "fp32", "int8, sparse features")
        if limit(dataset, model, scheme) is not None
    } == {
        ("cora", "gcn", "int8"): 1.0,
        ("cora", "gcn", "msfp13"): 1.2,
        ("cora", "gcn", "dq-int8"): 2.0,
        ("cora", "sage", "int8"): 1.2,
        ("cora", "sage", "msfp13"): 1.2,
        ("cora", "sage", "dq-int8"): 2.0,
        ("amazon-computers", "gcn", "int8"): 0.4,
        ("amazon-computers", "gcn", "msfp13"): 0.4,
        ("amazon-computers", "gcn", "dq-int8"): 2.0,
        ("amazon-computers", "sage", "int8"): 0.6,
        ("amazon-computers", "sage", "msfp13"): 0.6,
        ("amazon-computers", "sage", "dq-int8"): 2.0,
    }


def test_goals_are_judged_by_the_ratio_that_counts():
    row = {"dataset": "cora", "model": "gcn", "threads": 2, "default": 9.0, "tuned": 9.0}
    rows = [
        {**row, "variant": "int8", "ratio": 1.004},
        {**row, "variant": "msfp13", "ratio": 1.2},
        {**row, "variant": "dq-int8", "ratio": 1.8},
        {**row, "variant": "int8, sparse features", "ratio": 0.2},
        {**row, "variant": "PyG, edge_index", "ratio": 1.0},
    ]
    assert [(goal.goal, goal.value, goal.met) for goal in judge(rows)] == [
        ("gcn int8 step at most 1 × PyG's, cora, 2 threads", "1.00", False),
        ("gcn msfp13 step at most 1.2 × PyG's, cora, 2 threads", "1.20", True),
        ("gcn dq-int8 step at most 2 × PyG's, cora, 2 threads", "1.80", True),
        ("stretch: gcn dq-int8 step at most 1.5 × PyG's, cora, 2 threads", "1.80", False),
    ]


def test_unknown_names_are_refused():
    for options, message in (
        ({"datasets": "coar"}, "unknown dataset 'coar': did you mean cora? Allowed: cora, pubmed, amazon-computers"),
        ({"datasets": " , "}, "no dataset is named: allowed are cora, pubmed, amazon-computers"),
        (
            {"datasets": "karate", "models": "rnn"},
            "unknown model 'rnn': did you mean agnn? Allowed: gcn, gat, gin, sage, agnn",
        ),
    ):
        with pytest.raises(InputError) as caught:
            BENCHES["train"].run(**options)
        assert str(caught.value) == message


def test_sparse_features_that_there_are_not_are_refused(
    mirror: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BITFRONT_MIRROR", str(mirror))
    monkeypatch.setenv("BITFRONT_DATA", str(data_root))
    with pytest.raises(BitfrontError) as caught:
        prepare(Variant("amazon-computers", "gcn", "bitfront", "int8", sparse=True))
    assert str(caught.value) == "the features of amazon-computers are not sparse enough to be kept so"


def test_a_child_that_ends_is_named_with_its_last_words():
    for asked in (
        lambda module: ask(module, {"by": "nobody"}, environment("default", 1)),
        lambda module: take_turns(
            module, [{"by": "nobody"}], environment("default", 1), threads=[1], rounds=1, seconds=0.01
        ),
    ):
        with pytest.raises(BitfrontError) as caught:
            asked("engine.bench.nowhere")
        assert str(caught.value).startswith("the bench failed on nobody: ")
        assert str(caught.value).endswith("No module named engine.bench.nowhere")
