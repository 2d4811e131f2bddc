"""Parallel coordinates of groups."""

from __future__ import annotations

from typing import Any

from app.charts.parallel import MOST_WORDS, parallel_chart
from app.theme import FAMILIES

AXES = {"dataset": "Dataset", "scheme": "Scheme", "average_bits": "Average bits", "test_mean": "Test"}


def group(scheme: str, bits: float, test: float | None) -> dict[str, Any]:
    return {"dataset": "cora", "scheme": scheme, "average_bits": bits, "test_mean": test}


def test_what_differs_is_an_axis_and_lines_have_their_familys_colour() -> None:
    figure = parallel_chart([group("fp32", 32, 81), group("int8", 8, 80), group("msfp13", 5.5, 79)], AXES)
    assert figure is not None
    (trace,) = figure.to_dict()["data"]
    scheme, bits, test = trace["dimensions"]
    assert [dimension["label"] for dimension in (scheme, bits, test)] == ["Scheme", "Average bits", "Test"]
    assert list(scheme["ticktext"]) == ["fp32", "int8", "msfp13"]
    assert list(bits["values"]) == [32, 8, 5.5]
    line = trace["line"]
    steps = line["cmax"] - line["cmin"]
    for place, family in zip(line["color"], ("fp32", "affine", "msfp"), strict=True):
        share = (place - line["cmin"]) / steps
        color = next(color for edge, color in reversed(line["colorscale"]) if edge <= share)
        assert color == FAMILIES[family].color


def test_a_group_without_a_value_is_left_out() -> None:
    figure = parallel_chart([group("fp32", 32, 81), group("int8", 8, 80), group("int4", 4, None)], AXES)
    assert figure is not None
    assert list(figure.to_dict()["data"][0]["dimensions"][1]["values"]) == [32, 8]


def test_too_little_to_tell_is_no_chart() -> None:
    assert parallel_chart([group("int8", 8, 80)], AXES) is None
    assert parallel_chart([group("int8", 8, 80), group("int8", 8, 81)], AXES) is None


def test_an_axis_of_too_many_words_is_left_out() -> None:
    figure = parallel_chart([group(f"int{n}", n, n) for n in range(MOST_WORDS + 1)], AXES)
    assert figure is not None
    assert [each["label"] for each in figure.to_dict()["data"][0]["dimensions"]] == ["Average bits", "Test"]
