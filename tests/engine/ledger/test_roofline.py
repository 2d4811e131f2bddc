"""The roofline: attainable work by the device's peak and bandwidth, by hand."""

from __future__ import annotations

import pytest

from engine.costs import load_table
from engine.errors import InputError
from engine.events import LedgerRow
from engine.ledger.roofline import roofline, roofline_in_fp32

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


def test_fp32_moves_four_times_as_much_and_works_at_the_peak():
    forward, aggregate = roofline_in_fp32(ROWS, "inference", peak=1e9, bandwidth=1e9)
    assert (forward.intensity, forward.attainable, forward.format) == (10.0, 1e9, "fp32")
    assert (aggregate.intensity, aggregate.attainable) == (0.25, 0.25e9)


def test_training_counts_every_epoch_and_what_is_protected():
    protected = [row.model_copy(update={"protected": 0.5}) for row in ROWS]
    forward, _ = roofline(protected, "training", peak=1e9, bandwidth=1e12)
    assert forward.macs == 80_000
    # Half of the work at int8's density, half at fp32's.
    assert forward.attainable == pytest.approx(1e9 / (0.5 / 7.7 + 0.5))


def test_a_table_that_lacks_a_format_is_named():
    rows = [ROWS[0].model_copy(update={"format": "msfp13"})]
    with pytest.raises(InputError) as caught:
        roofline(rows, "inference", peak=1e9, bandwidth=1e9, table=load_table("energy-45nm"))
    assert str(caught.value) == (
        "the cost table 'energy-45nm' has no value for msfp13: choose another one, or add [mac.msfp] to it"
    )
