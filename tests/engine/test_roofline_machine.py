"""This machine's peak and bandwidth: measured once, kept as a device among the user's cost tables."""

from __future__ import annotations

import pytest

from engine.bench import BENCHES
from engine.costs import list_devices, list_tables, machine_file
from engine.roofline_machine import machine_table
from engine.settings import Settings


def test_this_machine_is_measured_once(settings: Settings):
    table = machine_table(settings)
    assert table.kind == "device"
    assert table.peak is not None
    assert table.bandwidth is not None
    assert 1e8 < table.peak < 1e15
    assert 1e8 < table.bandwidth < 1e14
    before = machine_file(settings).read_text()
    assert machine_table(settings) == table
    assert machine_file(settings).read_text() == before
    assert table in list_tables(settings)[0]
    assert list_devices(settings)[0] == table


def test_it_is_measured_even_where_nothing_can_be_kept(settings: Settings):
    settings.home.mkdir(parents=True)
    settings.costs.write_text("a file where the folder would be")
    assert machine_table(settings).bandwidth


def test_the_bench_measures_anew(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BITFRONT_HOME", str(settings.home))
    (row,) = BENCHES["machine"].run().rows
    assert set(row) == set(BENCHES["machine"].columns)
    assert machine_file(settings).is_file()
