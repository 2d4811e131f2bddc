"""The precision of a run as tables."""

from __future__ import annotations

from app.precision_table import decision_table, format_table


def decision(epoch: int, label: str) -> dict:
    row = {"epoch": epoch, "label": label, "signal": "epoch clock", "value": None, "threshold": None}
    return row | {"reason": f"to {label}", "changes": 3}


def test_a_decision_holds_until_the_next_one() -> None:
    rows = decision_table([decision(1, "int4"), decision(2, "int5"), decision(12, "int6")], last=20)
    assert rows[["Epochs", "Precision", "Why"]].to_numpy().tolist() == [
        ["1", "int4", "to int4"],
        ["2–11", "int5", "to int5"],
        ["12–20", "int6", "to int6"],
    ]


def test_a_decision_for_an_epoch_that_is_still_to_come_is_one_epoch_long() -> None:
    assert decision_table([decision(1, "int4"), decision(12, "int5")], last=11)["Epochs"].tolist() == ["1–11", "12"]


def test_formats_are_those_of_sites() -> None:
    row = {"epoch": 1, "layer": 0, "site": "weight", "product": "forward", "format": "int4"}
    rows = format_table([row, row | {"site": None}])
    assert rows.to_numpy().tolist() == [[1, 0, "weight", "forward", "int4"]]
