"""This machine's peak and bandwidth, kept for the rooflines of cost cards."""

from __future__ import annotations

from engine.bench import Report
from engine.costs import machine_file
from engine.roofline_machine import machine_table
from engine.settings import Settings


def run() -> Report:
    """Measure anew, and keep."""
    settings = Settings()
    table = machine_table(settings, again=True)
    assert table.peak is not None
    assert table.bandwidth is not None
    row = {
        "machine": table.title,
        "peak": table.peak / 1e9,
        "bandwidth": table.bandwidth / 1e9,
        "ridge": table.peak / table.bandwidth,
    }
    return Report([row], notes=[table.source, f"kept in {machine_file(settings)}; cost cards offer it as a device"])
