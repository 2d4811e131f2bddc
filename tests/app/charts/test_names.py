"""Names of points that cover nothing."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.charts.names import LETTER, LINE, MARKER, Label, place_names

SHARE = st.floats(0.06, 0.94)
POINTS = st.lists(st.tuples(SHARE, SHARE, st.sampled_from(["fp32", "int8", "msfp13", "int4:weight"]), st.booleans()),
                  max_size=25)  # fmt: skip


def boxes(points: list, places: list[str | None], width: float) -> list[tuple[float, float, float, float]]:
    found = []
    for (x, y, name, _), place in zip(points, places, strict=True):
        if place:
            wide, (row, side) = LETTER * (len(name) + 1), place.split()
            left = width * x + {"right": MARKER, "center": -wide / 2, "left": -MARKER - wide}[side]
            bottom = 340 * y + {"top": MARKER, "middle": -LINE / 2, "bottom": -MARKER - LINE}[row]
            found.append((left, bottom, left + wide, bottom + LINE))
    return found


@given(POINTS, st.sampled_from([900, 480, 280]))
def test_no_name_covers_another_or_leaves_the_chart(points: list, width: int) -> None:
    columns = [[point[i] for point in points] for i in range(4)]
    found = boxes(points, place_names(*columns, width=width), width)
    for index, one in enumerate(found):
        assert 0 <= one[0] <= one[2] <= width
        for other in found[:index]:
            apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
            assert apart


def test_the_front_is_named_above_and_the_others_below() -> None:
    assert place_names([0.2, 0.6], [0.5, 0.5], ["int8", "int4"], [True, False]) == ["top right", "bottom right"]


def test_names_near_the_right_edge_stand_to_the_left() -> None:
    assert place_names([0.99], [0.5], ["msfp13"], [True]) == ["top left"]


def test_the_front_chooses_before_the_others() -> None:
    names = ["int8", "int4"]
    assert place_names([0.5, 0.51], [0.5, 0.5], names, [False, True])[1] == "top right"


def test_a_name_keeps_clear_of_the_label_at_an_end() -> None:
    label = Label("within 1 % of fp32", 0.5, at_right=False)
    assert label.covers([0.06, 0.5], [0.5, 0.5]) == 1
    assert place_names([0.06], [0.5], ["fp32"], [True], label=label) == ["bottom right"]
    assert place_names([0.06], [0.5], ["fp32"], [True], label=replace(label, at_right=True)) == ["top right"]


def test_a_name_without_room_is_left_out() -> None:
    spots = [0.5] * 12
    assert place_names(spots, spots, ["msfp13"] * 12, [True] * 12).count(None) > 0
