"""SDQ's boundaries: the thesis' text, its code, lists of any length, and starts that a person gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.controllers.sdq import Phases
from engine.errors import InputError
from engine.scheme import parse_scheme
from tests.engine.controllers.traces import switches

LIST = "sdq[int4,int5,int6,int8]"


@pytest.mark.parametrize(
    ("epochs", "starts"),
    [(150, (39, 76, 114)), (250, (64, 126, 189)), (100, (26, 51, 76)), (10, (4, 6, 9)), (4, (2, 3, 4))],
)
def test_equal_phases_begin_where_the_text_says(epochs: int, starts: tuple[int, ...]):
    expected = list(zip(starts, ("int5", "int6", "int8"), strict=True))
    assert switches(LIST, epochs=epochs) == expected


@pytest.mark.parametrize(
    ("epochs", "starts"), [(150, (39, 77, 115)), (250, (64, 127, 190)), (100, (26, 51, 76)), (10, (4, 7, 10))]
)
def test_thesis_boundaries_begin_where_the_code_switches(epochs: int, starts: tuple[int, ...]):
    expected = list(zip(starts, ("int5", "int6", "int8"), strict=True))
    assert switches(LIST + "(thesis_boundaries=true)", epochs=epochs) == expected


def test_three_formats_do_not_divide_ten_epochs():
    assert switches("sdq[int4,int6,int8]", epochs=10) == [(5, "int6"), (8, "int8")]
    assert switches("sdq[int4,int6,int8](thesis_boundaries=true)", epochs=10) == [(5, "int6"), (9, "int8")]


def test_a_format_that_follows_itself_is_no_change_of_bits():
    scheme = "sdq[int4,int4,int6,int8]"
    assert [label for _, label in switches(scheme, epochs=100)] == ["int4", "int6", "int8"]


def test_explicit_starts():
    assert switches("sdq[int4,int6,int8](starts=3-9)", epochs=10) == [(3, "int6"), (9, "int8")]


def test_a_list_of_one_is_static():
    assert switches("sdq[msfp13]", epochs=20) == []


@given(steps=st.integers(1, 12), epochs=st.integers(1, 400), thesis=st.booleans())
def test_phases_rise_by_their_order_and_differ_by_one_epoch_at_most(steps: int, epochs: int, thesis: bool):
    phases = Phases(thesis_boundaries=thesis)
    elements = [phases.element(epoch, steps, epochs) for epoch in range(1, epochs + 1)]
    assert elements == sorted(elements)
    assert elements[0] == 0
    assert max(elements) < steps
    if not thesis and epochs >= steps:
        lengths = [elements.count(step) for step in range(steps)]
        assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sdq", "the scheme 'sdq' names no format: its list needs at least 1"),
        (
            "sdq[int4,int8](starts=0)",
            "the scheme 'sdq[int4,int8](starts=0)': starts are the first epochs of the 1 formats after the first, "
            "rising from 2 up and joined by '-', not 0",
        ),
        (
            "sdq[int4,int6,int8](starts=9-3)",
            "the scheme 'sdq[int4,int6,int8](starts=9-3)': starts are the first epochs of the 2 formats after the "
            "first, rising from 2 up and joined by '-', not 9-3",
        ),
        (
            "sdq[int4,int8](starts=9,thesis_boundaries=true)",
            "the scheme 'sdq[int4,int8](starts=9,thesis_boundaries=true)': starts and thesis_boundaries both say "
            "where phases begin: give one",
        ),
    ],
)
def test_wrong_lists_are_refused(text: str, message: str):
    with pytest.raises(InputError) as error:
        parse_scheme(text)
    assert str(error.value) == message
