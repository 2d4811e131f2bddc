"""The roofline: attainable work by the device's peak and bandwidth, by hand."""

from __future__ import annotations

import pytest

from engine.costs import load_table
from engine.datasets import GraphSize
from engine.errors import InputError
from engine.events import LedgerRow
from engine.ledger import ledger_in_fp32, trained_size
from engine.ledger.roofline import roofline
from engine.spec import RunSpec
from engine.training import SIZE_FIELDS

SHARED = {"first_epoch": 1, "last_epoch": 10, "layer": 0, "covered": True}
ROWS = [
    # 8000 MACs over 100 + 20 read and 80 written bytes.
    LedgerRow(product="forward", site="input", format="int8", macs=8000, elements=100, **SHARED),
    LedgerRow(product="forward", site="weight", format="int8", macs=0, elements=20, **SHARED),
    LedgerRow(product="forward", site="feature", format="int8", macs=0, elements=0, written=80, **SHARED),
    LedgerRow(product="aggregate", site="feature", format="int8", macs=100, elements=100, **SHARED),
]


def test_work_or_traffic_bounds_a_product():
    forward, aggregate = roofline(ROWS, "inference", peak=1e9, bandwidth=1e9)
    assert forward.name == "layer 0, forward"
    assert (forward.intensity, forward.bytes, forward.macs) == (40.0, 200.0, 8000.0)
    assert (forward.attainable, forward.bound) == (pytest.approx(7.7e9), "work")
    assert (aggregate.intensity, aggregate.attainable, aggregate.bound) == (1.0, 1e9, "traffic")


def test_the_baseline_is_the_ledger_of_the_same_run_in_fp32():
    """Degree-Quant quantizes copies on their own, which fp32 does not have: GCN's second sum over five nodes."""
    spec = RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": "dq-int8", "training": {"epochs": 7}})
    rows = ledger_in_fp32(spec, GraphSize(nodes=5, edges=8, features=6, classes=2))
    read = {(row.format, row.covered, row.last_epoch) for row in rows if row.product != "stash"}
    assert read == {("fp32", False, 7)}
    points = {point.name: point for point in roofline(rows, "inference", peak=1e9, bandwidth=1e9)}
    # 13 messages of 2 numbers: reads 10 features and 10 sums, writes 10, in four bytes each.
    aggregate = points["layer 1, aggregate"]
    assert (aggregate.macs, aggregate.bytes, aggregate.format) == (26, 4 * 30, "fp32")
    assert aggregate.attainable == pytest.approx(1e9 * 26 / 120)


def test_the_baseline_spans_the_epochs_of_all_phases():
    spec = RunSpec.parse({"dataset": "cora", "model": "gcn", "scheme": "sgquant(bits=4)", "training": {"epochs": 7}})
    total = sum(spec.training.epochs if phase.epochs is None else phase.epochs for phase in spec.parsed_scheme.phases)
    assert total > 7
    rows = ledger_in_fp32(spec, GraphSize(nodes=5, edges=8, features=6, classes=2))
    assert {(row.first_epoch, row.last_epoch) for row in rows} == {(1, total)}


def test_what_a_run_trained_on_is_read_back_from_its_provenance():
    size = GraphSize(nodes=5, edges=8, features=6, classes=2, graphs=4, batches=3)
    assert trained_size({"trained_on": {name: getattr(size, name) for name in SIZE_FIELDS}}) == size
    assert trained_size({"nodes": 5}) is None


def test_rows_of_before_do_not_say_what_is_written():
    rows = [row.model_copy(update={"written": 0}) for row in ROWS]
    with pytest.raises(InputError) as caught:
        roofline(rows, "inference", peak=1e9, bandwidth=1e9)
    assert str(caught.value) == (
        "this run's ledger was recorded before it counted what products write: memory traffic and what follows from it "
        "are not known; run it again to see them"
    )


def test_training_counts_every_epoch_and_what_is_protected():
    protected = [row.model_copy(update={"protected": 0.5}) for row in ROWS]
    forward, _ = roofline(protected, "training", peak=1e9, bandwidth=1e12)
    assert forward.macs == 80_000
    # Half of the work at int8's density, half at fp32's.
    assert forward.attainable == pytest.approx(1e9 / (0.5 / 7.7 + 0.5))


def test_a_table_that_lacks_a_format_is_named():
    rows = [ROWS[0].model_copy(update={"format": "msfp13", "written": 80})]
    with pytest.raises(InputError) as caught:
        roofline(rows, "inference", peak=1e9, bandwidth=1e9, table=load_table("energy-45nm"))
    assert str(caught.value) == (
        "the cost table 'energy-45nm' has no value for msfp13: choose another one, or add [mac.msfp] to it"
    )
