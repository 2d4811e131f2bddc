"""Diagnostics against their formulas, on tensors small enough to work out."""

from __future__ import annotations

import math

import pytest
import torch

from engine import run
from engine.diagnostics import DegreeBuckets, epochs_to_record
from engine.events import DiagnosticRow, DiagnosticsRecorded
from engine.layers.operand import Constant
from engine.live import LiveScheme, Sites
from engine.scheme import get_format, parse_scheme
from engine.settings import Settings
from engine.spec import RunSpec
from engine.topology import Topology
from engine.training import train

PATH = Topology(torch.tensor([[0, 1, 1, 2, 2, 3, 0, 3], [1, 0, 2, 1, 3, 2, 3, 0]]), 5)
"""In-degrees 2, 2, 2, 2 and 0."""


def recorded(scheme: str, x, site: str, rows=None, *, gradient: bool = False) -> list[DiagnosticRow]:
    sites = Sites("input", "weight", "feature", "gradient")
    live = LiveScheme(parse_scheme(scheme)).train()
    sites.attach(live, 0, "")
    live.begin(PATH, seed=0, step=1)
    with live.recording() as recorder:
        sites(x, site, "grad_weight" if gradient else "forward", -1, rows)
    return recorder.rows


def test_buckets_are_the_quartiles_and_equals_share_one():
    buckets = DegreeBuckets.of(torch.tensor([1, 1, 1, 1, 2, 3, 3, 9]))
    assert buckets.degrees == ((1, 1), (2, 2), (3, 9))
    assert buckets.bucket.tolist() == [0, 0, 0, 0, 1, 2, 2, 2]
    assert DegreeBuckets.of(torch.tensor([4, 4])).degrees == ((4, 4),)


def test_the_noise_is_told_for_the_whole_and_for_each_bucket():
    x = torch.tensor([[1.0, 2.0], [-1.0, 3.5], [0.1, 0.2], [2.2, -3.0], [0.7, 0.9]])
    error = x - get_format("int4").fake_quantize(x)
    whole, low, high = recorded("int4", x, "feature", "nodes")
    assert [(row.bucket, row.least_degree, row.most_degree, row.elements) for row in (whole, low, high)] == [
        (None, None, None, 10), (0, 0, 0, 2), (1, 2, 2, 8),
    ]  # fmt: skip
    for row, part in ((whole, slice(None)), (low, slice(4, 5)), (high, slice(0, 4))):
        expected = 10 * math.log10(float(x[part].square().sum() / error[part].square().sum()))
        assert row.sqnr == pytest.approx(expected, rel=1e-5)
        assert (row.saturated, row.zeroed) == (0.0, 0.0)


def test_a_clipped_range_saturates_and_stops_as_many_gradients():
    x = torch.linspace(-1, 1, 200).reshape(100, 2)
    [row] = recorded("qat-int8(range=percentile,p=0.1,estimator=clipped)", x, "weight")
    low, high = x.flatten().sort().values[[19, 180]]
    step = float(high - low) / 255
    outside = int(((x < low - step / 2) | (x > high + step / 2)).sum())
    assert row.saturated == pytest.approx(outside / 200, abs=0.011)
    assert row.zeroed == row.saturated
    [straight] = recorded("qat-int8(range=percentile,p=0.1)", x, "weight")
    assert (straight.saturated, straight.zeroed) == (row.saturated, 0.0)


def test_small_gradients_that_become_zero_are_counted_among_the_non_zeros():
    gradient = torch.tensor([[1.0, 0.001], [0.0, -0.002], [0.5, 0.0]])
    row = recorded("int4", gradient, "gradient", gradient=True)[0]
    assert row.zeroed == 0.5


def test_protected_rows_are_left_out():
    x = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
    assert recorded("dq-int4(p_min=1.0,p_max=1.0)", x, "feature", "nodes") == []


def test_a_sparse_constant_is_told_as_the_dense_tensor():
    x = torch.zeros(5, 20)
    x[0, 3], x[1, 4], x[3, 5], x[4, 0] = 1.0, 0.33, 0.2, 0.7
    assert type(Constant.of(x).operand).__name__ == "SparseOperand"
    sparse = recorded("qat-int4", Constant.of(x), "input", "nodes")
    dense = recorded("qat-int4", x, "input", "nodes")
    assert [(row.bucket, row.elements, row.saturated, row.zeroed) for row in sparse] == [
        (row.bucket, row.elements, row.saturated, row.zeroed) for row in dense
    ]
    assert [row.sqnr for row in sparse] == pytest.approx([row.sqnr for row in dense])


def test_a_few_epochs_are_looked_into():
    assert epochs_to_record(150) == {1, 38, 76, 113, 150}
    assert epochs_to_record(1) == {1}
    assert len(epochs_to_record(3)) == 3


def test_a_run_tells_where_accuracy_is_lost(settings: Settings):
    spec = RunSpec.parse({"dataset": "karate", "model": "gcn", "scheme": "int2", "training": {"epochs": 10}})
    found = [event for event in train(spec, settings) if isinstance(event, DiagnosticsRecorded)]
    assert [event.epoch for event in found] == sorted(epochs_to_record(10))
    sites = {(row.layer, row.site, row.product) for row in found[-1].rows}
    assert {(0, "weight", "forward"), (1, "feature", "aggregate"), (1, "gradient", "grad_input")} <= sites
    assert any(row.bucket is not None for row in found[-1].rows)


def test_looking_changes_no_number(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    spec = RunSpec.parse({"dataset": "karate", "model": "gcn", "scheme": "dq-int4", "training": {"epochs": 12}})
    watched = run(spec, settings).history.columns
    monkeypatch.setattr("engine.training.epochs_to_record", lambda total: frozenset())
    blind = run(spec, settings).history.columns
    assert {k: v for k, v in watched.items() if k != "seconds"} == {k: v for k, v in blind.items() if k != "seconds"}
