"""What the bench of the dashboard makes of its measurements."""

from __future__ import annotations

from app.bench import BENCHES
from app.bench.dashboard import GOALS, _report


def test_goals_are_judged_by_medians() -> None:
    times = {name: [goal - 1.0, goal - 1.0, 10.0 * goal] for name, goal in GOALS.items()}
    report = _report(times, 599.0, 14.9, "2 runs (synthetic)")
    assert [goal.met for goal in report.goals] == [True] * 5
    assert [row["slowest"] for row in report.rows] == [10.0 * goal for goal in GOALS.values()]
    assert [goal.value for goal in report.goals[-2:]] == ["14.9 %", "599 MB"]
    slow = _report({name: [goal + 1.0] for name, goal in GOALS.items()}, 601.0, 15.0, "")
    assert [goal.met for goal in slow.goals] == [False] * 5
    assert set(report.rows[0]) == set(BENCHES["dashboard"].columns)
