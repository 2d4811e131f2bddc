"""How numbers are shown."""

from __future__ import annotations

from app.digits import number


def test_what_rounds_to_nothing_has_no_minus() -> None:
    assert [number(value, "%", "+") for value in (-0.001, 0.001, -0.01)] == ["+0.00", "+0.00", "-0.01"]
    assert [number(value, "") for value in (-0.00001, -0.0001)] == ["0.0000", "-0.0001"]
