"""Measured quantities as a table."""

from __future__ import annotations

from typing import get_args

from app.measured import QUANTITIES, measurement_table
from engine.events import Measurement


def row(quantity: str, variant: str, value: float | None) -> dict:
    return {"quantity": quantity, "variant": variant, "value": value}


def test_every_quantity_that_can_be_measured_has_a_name() -> None:
    assert set(QUANTITIES) == set(get_args(Measurement.model_fields["quantity"].annotation))


def test_the_run_stands_beside_its_twin() -> None:
    rows = [row("peak_torch", "run", 16.7e6), row("peak_torch", "fp32", 17.56e6), row("latency_median", "run", 0.0012)]
    table = measurement_table([*rows, row("file_size", "run", None)])
    assert table["Quantity"].tolist() == ["Peak training memory, torch", "Inference latency, median"]
    assert table[["This run", "fp32", "Ratio"]].to_numpy().tolist() == [["16.7", "17.56", "0.95×"], ["1.2", "–", "–"]]
