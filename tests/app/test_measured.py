"""Measured quantities as a table."""

from __future__ import annotations

from typing import get_args

from app.measured import AXES, measurement_table
from engine.events import Measurement
from engine.measure import QUANTITIES


def row(quantity: str, variant: str, value: float | None) -> dict:
    return {"quantity": quantity, "variant": variant, "value": value}


def test_every_quantity_that_can_be_measured_has_a_name_and_an_axis() -> None:
    assert set(QUANTITIES) == set(get_args(Measurement.model_fields["quantity"].annotation))
    assert {quantity.unit for quantity in QUANTITIES.values()} == set(AXES)


def test_the_run_stands_beside_its_twin() -> None:
    rows = [row("peak_torch", "run", 16.7e6), row("peak_torch", "fp32", 17.56e6), row("latency_median", "run", 0.0012)]
    table = measurement_table([*rows, row("file_size", "run", None)])
    assert table[["Quantity", "This run", "fp32", "Ratio"]].to_numpy().tolist() == [
        ["Peak memory, torch-allocated plus features", "16.70 MB", "17.56 MB", "0.95×"],
        ["Inference, median", "1.20 ms", "–", "–"],
    ]
