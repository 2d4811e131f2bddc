"""The bench of signals times the real loop; its promise is judged by the command, not here."""

from __future__ import annotations

from engine.bench import BENCHES


def test_it_reports_each_case_with_its_goal():
    report = BENCHES["signals"].run(cases=[("karate", "gcn", "adq[int4,int8]")], epochs=12)
    (row,) = report.rows
    assert set(row) == set(BENCHES["signals"].columns)
    assert row["epoch"] > 0
    assert row["signals"] > 0
    assert 0 < row["share"] < 100
    assert len(report.goals) == 1
