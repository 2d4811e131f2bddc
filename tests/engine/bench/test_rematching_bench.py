"""The bench of rematching: its bytes add up, and are judged against the paper's claim."""

from __future__ import annotations

import pytest

from engine.bench import BENCHES
from engine.bench.rematching import BITS, CASES, Case, _judge, measure
from engine.errors import InputError


def test_a_small_run_gives_every_column():
    bench = BENCHES["rematching"]
    report = bench.run(cases=["16 wide"], bits=[4])
    assert [set(row) for row in report.rows] == [set(bench.columns)]
    [row] = report.rows
    assert (row["case"], row["bits"], row["fp32"]) == ("16 wide", 4, 173.3)
    assert [goal.goal for goal in report.goals] == [
        "kept: at most 1.05 × the claim, 16 wide, 4 bits",
        "peak of rematching: below fp32, 16 wide, 4 bits",
        "peak by blocks: below fp32, 16 wide, 4 bits",
    ]
    assert any("Table III" in note for note in report.notes)


@pytest.mark.parametrize("bits", BITS)
def test_the_bytes_are_those_of_codes_and_ranges(bits: int):
    row = measure("two", Case(1000, (64, 16)), bits)
    assert row["fp32"] == 1000 * 80 * 4 / 1e3
    assert row["claim"] == row["codes"] == 1000 * 80 * bits / 8 / 1e3
    assert row["ranges"] == 2 * 1000 * 8 / 1e3  # two float32 a row, for each tensor
    assert row["kept"] == pytest.approx(row["codes"] + row["ranges"])
    assert row["claimed_saving"] == 32 / bits
    assert row["kept_saving"] < row["claimed_saving"]
    # Rematching makes the widest tensor in fp32, whatever the bits.
    assert row["rematching"] >= row["kept"] + 1000 * 64 * 4 / 1e3
    assert row["by_blocks"] < row["rematching"]
    assert row["emulation"] >= row["fp32"] + 1000 * 64 * 4 / 1e3


def test_goals_are_judged_by_the_savings():
    row = {
        "case": "x", "bits": 2, "claimed_saving": 16.0, "kept_saving": 15.5, "rematching_saving": 0.5,
        "by_blocks_saving": 4.0,
    }  # fmt: skip
    assert [(goal.value, goal.met) for goal in _judge([row])] == [
        ("1.03", True), ("2.00 × fp32", False), ("0.25 × fp32", True),
    ]  # fmt: skip


def test_an_unknown_case_is_refused():
    with pytest.raises(InputError) as caught:
        BENCHES["rematching"].run(cases=["7 wide"])
    assert str(caught.value) == f"unknown case '7 wide' of the bench 'rematching': allowed are {', '.join(CASES)}"
