"""Figures in a paper's size."""

from __future__ import annotations

from typing import Any

import pytest

from app.charts.paper import image_options, paper_figure
from app.charts.pareto import Axes, pareto_chart
from tests.app.charts.test_pareto import GROUPS


def texts(figure: dict[str, Any]) -> set[float]:
    layout = figure["layout"]
    axes = [layout[name][part]["size"] for name in ("xaxis", "yaxis") for part in ("tickfont",)]
    titles = [layout[name]["title"]["font"]["size"] for name in ("xaxis", "yaxis")]
    return {layout["font"]["size"], layout["legend"]["font"]["size"], *axes, *titles}


@pytest.mark.parametrize("points", [8, 9.5])
def test_every_text_has_the_papers_size_in_a_columns_width(points: float) -> None:
    figure = paper_figure(pareto_chart(GROUPS, Axes()), inches=3.5, points=points).to_dict()
    assert texts(figure) == {points * 96 / 72}
    assert figure["layout"]["width"] == 336
    assert figure["layout"]["paper_bgcolor"] == "#ffffff"


def test_the_page_keeps_its_own_figure() -> None:
    figure = pareto_chart(GROUPS, Axes())
    before = figure.to_json()
    paper_figure(figure, inches=7)
    assert figure.to_json() == before


def test_a_png_has_600_dots_an_inch_and_an_svg_its_own_size() -> None:
    figure = paper_figure(pareto_chart(GROUPS, Axes()), inches=7)
    assert image_options(figure, "front", "svg") == {
        "format": "svg",
        "width": 672,
        "height": 444,
        "scale": 1,
        "filename": "front",
    }
    png = image_options(figure, "front", "png")
    assert png["width"] * png["scale"] == 7 * 600
