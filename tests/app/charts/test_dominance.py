"""The Pareto front against its definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from app.charts.dominance import pareto_front

VALUES = st.one_of(
    st.integers(-4, 4).map(float),  # many ties
    st.floats(-1e6, 1e6),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
)
POINTS = st.lists(st.tuples(VALUES, VALUES), max_size=60)


def by_definition(points: list[tuple[float, float]]) -> list[bool]:
    finite = [bool(np.isfinite(p).all()) for p in points]

    def beaten(p: tuple[float, float]) -> bool:
        return any(
            ok and q[0] >= p[0] and q[1] >= p[1] and (q[0] > p[0] or q[1] > p[1])
            for q, ok in zip(points, finite, strict=True)
        )

    return [ok and not beaten(p) for p, ok in zip(points, finite, strict=True)]


@given(POINTS)
def test_front_is_what_no_point_dominates(points: list[tuple[float, float]]) -> None:
    x, y = [p[0] for p in points], [p[1] for p in points]
    assert pareto_front(x, y).tolist() == by_definition(points)


@given(POINTS)
def test_lower_is_better_mirrors_the_axis(points: list[tuple[float, float]]) -> None:
    x, y = np.array([p[0] for p in points]), np.array([p[1] for p in points])
    assert pareto_front(x, y, higher_x=False, higher_y=False).tolist() == pareto_front(-x, -y).tolist()


@given(POINTS, st.randoms(use_true_random=False))
def test_order_of_points_does_not_matter(points: list[tuple[float, float]], random) -> None:
    order = list(range(len(points)))
    random.shuffle(order)
    front = pareto_front([p[0] for p in points], [p[1] for p in points])
    shuffled = pareto_front([points[i][0] for i in order], [points[i][1] for i in order])
    assert shuffled.tolist() == front[order].tolist()


def test_equal_points_are_all_on_the_front() -> None:
    assert pareto_front([2, 2, 1, 2], [5, 5, 5, 4]).tolist() == [True, True, False, False]


def test_no_points_no_front() -> None:
    assert pareto_front([], []).tolist() == []


def test_a_hundred_thousand_points_on_a_line_are_all_on_the_front() -> None:
    x = np.arange(100_000)
    assert pareto_front(x, -x).all()
    assert pareto_front(x, x).sum() == 1
