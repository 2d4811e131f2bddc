"""The bench of throughput: what its peers do, and how its goals are judged; the whole of it is for a quiet machine."""

from __future__ import annotations

from engine.bench.throughput import BASE, judge, prepare_peer
from engine.spec import RunSpec


def test_the_peer_learns_what_it_is_to_learn():
    spec = {"dataset": "karate", "model": "gcn", "scheme": "fp32", "device": "cpu"}
    assert prepare_peer(RunSpec.parse(spec))(60) > 50


def test_both_promises_are_of_every_quantized_scheme():
    rows = [
        {"variant": BASE, "ratio": 1.0, "by_clock": 1.0, "many": 12.0},
        {"variant": "int8, bitfront up", "ratio": 6.0, "by_clock": 6.5, "many": 0.98},
        {"variant": "msfp13, bitfront up", "ratio": 8.0, "by_clock": 5.9, "many": 1.2},
    ]
    assert [(goal.goal, goal.value, goal.met) for goal in judge(rows)] == [
        ("int8, bitfront up: runs an hour at least 6 × PyG's eager fp32 runs", "6.0", True),
        ("int8, bitfront up: 15,000 runs in at most 1 hour", "0.98 h", True),
        ("msfp13, bitfront up: runs an hour at least 6 × PyG's eager fp32 runs", "5.9", False),
        ("msfp13, bitfront up: 15,000 runs in at most 1 hour", "1.20 h", False),
    ]
