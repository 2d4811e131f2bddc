"""Curves of groups with bands over their seeds."""

from __future__ import annotations

from typing import Any

from app.charts.bands import GroupCurve, band_chart
from app.theme import scheme_shades

ROWS = [
    {"epoch": 1, "n": 3, "mean": 2.0, "std": 0.5, "low": 1.4, "high": 2.4},
    {"epoch": 2, "n": 1, "mean": 1.0, "std": None, "low": 1.0, "high": 1.0},
]


def traces(*curves: GroupCurve, **options: Any) -> list[dict[str, Any]]:
    return band_chart(curves, title="Validation loss", **options).to_dict()["data"]


def test_the_band_goes_there_on_top_and_back_below() -> None:
    band, line = traces(GroupCurve("int8", "int8", ROWS))
    assert list(band["x"]) == [1, 2, 2, 1]
    assert list(band["y"]) == [2.5, 1.0, 1.0, 1.5]
    assert list(line["y"]) == [2.0, 1.0]
    assert line["line"]["color"] == scheme_shades(["int8"])["int8"]


def test_the_band_can_be_from_the_lowest_to_the_highest() -> None:
    band = traces(GroupCurve("int8", "int8", ROWS), spread="lowest to highest")[0]
    assert list(band["y"]) == [2.4, 1.0, 1.0, 1.4]


def test_groups_of_one_scheme_differ_by_their_dashes() -> None:
    found = traces(GroupCurve("int8 · gcn", "int8", ROWS), GroupCurve("int8 · gat", "int8", ROWS))
    assert [trace["line"]["dash"] for trace in found if trace["mode"] == "lines"] == ["solid", "dash"]


def test_the_axes_say_what_they_hold() -> None:
    layout = band_chart([GroupCurve("<b>", "int8", ROWS)], title="Validation loss", log_y=True).to_dict()["layout"]
    assert layout["yaxis"]["title"]["text"] == "Validation loss, mean and ± std"
    assert layout["yaxis"]["type"] == "log"
