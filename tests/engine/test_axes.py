"""Axes: lists, ranges and texts with blanks as plain tables; numbers exact, slips refused by name."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.axes import expand_axes, size, values_of
from engine.errors import InputError


def test_the_last_axis_changes_fastest_and_tables_stay():
    table = {"a": [1, 2], "b": {"c": "x", "d": {"from": 0, "to": 2, "step": 2}}, "e": 5}
    assert list(expand_axes(table)) == [{"a": a, "b": {"c": "x", "d": d}, "e": 5} for a in (1, 2) for d in (0, 2)]
    assert size(table) == 4


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ({"from": 1, "to": 8, "step": 3}, [1, 4, 7]),
        ({"from": 8, "to": 1, "step": -7}, [8, 1]),
        ({"from": 0.1, "to": 0.5, "step": 0.1}, [0.1, 0.2, 0.3, 0.4, 0.5]),
        ({"from": 8, "to": 100, "factor": 2}, [8, 16, 32, 64]),
        ({"from": 0.1, "to": 0.001, "factor": 0.1}, [0.1, 0.01, 0.001]),
        ({"from": 1e-4, "to": 0.1, "count": 4, "log": True}, [0.0001, 0.001, 0.01, 0.1]),
        ({"from": 1, "to": 100, "count": 3, "log": True}, [1, 10, 100]),
        ({"from": 0, "to": 1, "count": 3}, [0.0, 0.5, 1.0]),
        ({"from": 0, "to": 4, "count": 3}, [0, 2, 4]),
        ({"from": 3, "to": 3, "step": 1}, [3]),
    ],
)
def test_a_range_gives_the_numbers_that_one_expects(table: dict[str, Any], values: list[float]):
    found = values_of(table, "x")
    assert found == values
    assert list(map(type, found)) == list(map(type, values))


@given(
    first=st.decimals(0, 10, places=3),
    step=st.decimals("0.001", 5, places=3),
    count=st.integers(1, 50),
)
def test_a_step_that_fits_ends_at_the_end(first: Any, step: Any, count: int):
    last = first + step * (count - 1)
    found = values_of({"from": float(first), "to": float(last), "step": float(step)}, "x")
    assert len(found) == count
    assert found == [float(first + step * place) for place in range(count)]


@given(first=st.floats(1e-6, 1e6), last=st.floats(1e-6, 1e6), count=st.integers(2, 30))
def test_equal_factors_lie_evenly_on_a_log_axis(first: float, last: float, count: int):
    found = values_of({"from": first, "to": last, "count": count, "log": True}, "x")
    assert (found[0], found[-1], len(found)) == (first, last, count)
    steps = [math.log(b) - math.log(a) for a, b in pairwise(found)]
    assert max(steps) - min(steps) < 1e-9


def test_texts_take_every_choice_for_their_blanks():
    schemes = {"text": "int{bits}:{site}", "bits": {"from": 2, "to": 4, "step": 2}, "site": ["weight", "input"]}
    assert values_of(["fp32", schemes], "spec.scheme") == [
        "fp32",
        "int2:weight",
        "int2:input",
        "int4:weight",
        "int4:input",
    ]
    assert values_of({"text": "a({x},{y})", "x": 0.5, "y": [True]}, "x") == ["a(0.5,true)"]


FORMS = (
    "a range is { from, to, step } (evenly), { from, to, factor } (each so many times the one before) or "
    "{ from, to, count } (so many, evenly, or with log = true by equal factors)"
)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "spec.a is an empty list: name at least one value"),
        ({"from": 1}, "spec.a = {'from': 1} is not allowed: " + FORMS),
        (
            {"from": 1, "to": 2, "step": 1, "count": 2},
            "spec.a = {'from': 1, 'to': 2, 'step': 1, 'count': 2} is not allowed: " + FORMS,
        ),
        (
            {"from": "1", "to": 2, "step": 1},
            "spec.a = {'from': '1', 'to': 2, 'step': 1} is not allowed: its entries should be numbers",
        ),
        (
            {"from": 1, "to": 2, "step": 1, "log": True},
            "spec.a = {'from': 1, 'to': 2, 'step': 1, 'log': True} is not allowed: log = true goes with count",
        ),
        (
            {"from": 1, "to": float("inf"), "step": 1},
            "spec.a = {'from': 1, 'to': inf, 'step': 1} is not allowed: its entries should be finite",
        ),
        (
            {"from": 0, "to": 2, "factor": 2},
            "spec.a = {'from': 0, 'to': 2, 'factor': 2} is not allowed: equal factors need ends above 0",
        ),
        (
            {"from": 1, "to": 2, "count": 1},
            "spec.a = {'from': 1, 'to': 2, 'count': 1} is not allowed: count should be a whole number from 2 to 10000",
        ),
        (
            {"from": 1, "to": 2, "step": -1},
            "spec.a = {'from': 1, 'to': 2, 'step': -1} is not allowed: "
            "its steps do not lead from its beginning to its end",
        ),
        (
            {"from": 1, "to": 2, "factor": -2},
            "spec.a = {'from': 1, 'to': 2, 'factor': -2} is not allowed: its factor should be above 0",
        ),
        (
            {"from": 0, "to": 1, "step": 1e-9},
            "spec.a = {'from': 0, 'to': 1, 'step': 1e-09} is not allowed: it has more than 10000 values",
        ),
        (
            {"from": 10**400, "to": 10**401, "factor": 10},
            "spec.a is a range with a number beyond 1e+300, which is not allowed",
        ),
        (
            {"from": -(10**308), "to": 1.7e308, "count": 3},
            "spec.a is a range with a number beyond 1e+300, which is not allowed",
        ),
        (
            {"text": "{a}{b}{c}{d}", **{name: {"from": 1, "to": 10_000, "step": 1} for name in "abcd"}},
            f"spec.a.text = '{{a}}{{b}}{{c}}{{d}}' stands for {10**16} texts; at most 10000 are allowed",
        ),
        ({"text": 3}, "spec.a.text = 3 is not allowed: it should be text"),
        ({"text": "int{"}, "spec.a.text = 'int{' cannot be read: Single '{' encountered in format string"),
        (
            {"text": "int{b}", "bits": [2]},
            "spec.a has blanks {b} and values for bits: "
            "give each {name} in its text a list or a range of that name, and nothing else",
        ),
        (
            {"text": "int{b:02}", "b": [2]},
            "spec.a has blanks {b} and values for b: "
            "give each {name} in its text a list or a range of that name, and nothing else",
        ),
    ],
)
def test_slips_are_refused(value: Any, message: str):
    with pytest.raises(InputError) as caught:
        list(expand_axes({"a": value}))
    assert str(caught.value) == message
