"""Hypervolumes against the area counted cell by cell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.comparison.hypervolume import family_shares, hypervolume

POINTS = st.lists(st.tuples(st.integers(-2, 8), st.integers(-2, 8)), max_size=12)


@given(POINTS)
def test_the_area_is_that_of_the_cells_below_some_point(points: list[tuple[int, int]]) -> None:
    cells = sum(any(x >= a and y >= b for x, y in points) for a in range(1, 9) for b in range(1, 9))
    assert hypervolume([x for x, _ in points], [y for _, y in points], (0, 0)) == cells


def test_families_share_the_rectangle_of_all_points() -> None:
    found = family_shares(["a", "a", "b", "b", "b"], [1, 3, 2, 1, float("nan")], [1, 1, 3, 2, 9])
    assert found.to_dict("records") == [
        {"family": "b", "share": 0.5, "points": 2, "on_front": 1},
        {"family": "a", "share": 0.0, "points": 2, "on_front": 1},
    ]


def test_where_lower_is_better_the_axes_are_turned() -> None:
    found = family_shares(["a", "b"], [1, 2], [5, 3], higher_x=False, higher_y=False)
    assert found["share"].tolist() == [0, 0]
    assert found["on_front"].tolist() == [1, 1]
    better = family_shares(["a", "b"], [1, 2], [3, 5], higher_x=False, higher_y=False)
    assert better.set_index("family")["share"].to_dict() == {"a": 1, "b": 0}


@pytest.mark.parametrize("points", [[], [(1, 2)], [(1, 2), (1, 5)]])
def test_points_without_a_rectangle_have_no_shares(points: list[tuple[int, int]]) -> None:
    assert family_shares(["a"] * len(points), [x for x, _ in points], [y for _, y in points]).empty
