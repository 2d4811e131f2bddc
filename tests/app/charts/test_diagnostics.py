"""Diagnostics as figures: by site and layer, by in-degree, and which end of the degrees suffers."""

from __future__ import annotations

from typing import Any

import pytest

from app.charts.diagnostics import degree_chart, degree_verdict, degrees, layer_colors, place, site_chart
from app.theme import DARK_BACKGROUND, LIGHT_BACKGROUND
from tests.app.test_theme import contrast


def row(site: str = "message", layer: int = 0, sqnr: float | None = 20.0, **more: Any) -> dict[str, Any]:
    whole = {"part": "", "product": "forward", "format": "int8", "bucket": None, "least_degree": None}
    rest = {"most_degree": None, "elements": 1200, "saturated": 0.05, "zeroed": None}
    return {"site": site, "layer": layer, "sqnr": sqnr, **whole, **rest, **more}


def bucket(number: int, least: int, most: int, sqnr: float | None, **more: Any) -> dict[str, Any]:
    return row(sqnr=sqnr, bucket=number, least_degree=least, most_degree=most, **more)


def axis_titles(figure: dict) -> list[str]:
    return [figure["layout"][name]["title"]["text"] for name in ("yaxis", "yaxis2", "yaxis3", "xaxis3")]


def test_each_layer_has_a_bar_at_each_site_in_three_panels() -> None:
    rows = [row("weight", 0, 40.0), row("message", 0, 20.0, zeroed=0.1), row("weight", 1, 30.0)]
    figure = site_chart([*rows, bucket(0, 0, 3, 1.0)]).to_dict()
    found = [(trace["name"], trace["yaxis"], list(trace["x"]), list(trace["y"])) for trace in figure["data"]]
    assert found == [
        ("Layer 0", "y", ["weight", "message"], [40.0, 20.0]),
        ("Layer 0", "y2", ["weight", "message"], [5.0, 5.0]),
        ("Layer 0", "y3", ["weight", "message"], [None, 10.0]),
        ("Layer 1", "y", ["weight"], [30.0]),
        ("Layer 1", "y2", ["weight"], [5.0]),
        ("Layer 1", "y3", ["weight"], [None]),
    ]
    assert axis_titles(figure) == ["SQNR (dB)", "Saturated (%)", "Zeroed gradients (%)", "Site"]
    assert [trace["showlegend"] for trace in figure["data"]] == [True, False, False] * 2
    assert list(figure["layout"]["xaxis"]["categoryarray"]) == ["weight", "message"]


def test_layers_differ_by_colour_and_by_pattern() -> None:
    traces = site_chart([row(layer=0), row(layer=1)]).to_dict()["data"]
    markers = {(trace["marker"]["color"], trace["marker"]["pattern"]["shape"]) for trace in traces}
    assert len(markers) == 2
    assert len({color for color, _ in markers}) == len({shape for _, shape in markers}) == 2


def test_each_site_of_a_layer_has_a_line_over_the_buckets_in_order() -> None:
    rows = [bucket(1, 4, 168, 10.0), bucket(0, 0, 3, 30.0), bucket(0, 0, 3, 25.0, layer=1, site="update")]
    figure = degree_chart([row(), *rows]).to_dict()
    first = figure["data"][0]
    assert (first["name"], list(first["x"]), list(first["y"])) == ("Layer 0, message", ["0–3", "4–168"], [30.0, 10.0])
    assert {trace["name"] for trace in figure["data"]} == {"Layer 0, message", "Layer 1, update"}
    assert list(figure["layout"]["xaxis"]["categoryarray"]) == ["0–3", "4–168"]
    assert {figure["layout"][name]["type"] for name in ("xaxis", "xaxis2", "xaxis3")} == {"category"}
    assert axis_titles(figure)[3] == "In-degree of the node"
    assert len({(trace["line"]["dash"], trace["marker"]["symbol"]) for trace in figure["data"]}) == 2


def test_a_place_names_module_and_backward_product() -> None:
    assert place(row("weight")) == place(row("weight", product="aggregate")) == "weight"
    assert place(row("weight", part="mlp.0", product="grad_input")) == "mlp.0.weight (grad_input)"
    assert (degrees(bucket(0, 7, 7, 1.0)), degrees(bucket(0, 0, 3, 1.0))) == ("7", "0–3")


def test_hovering_says_everything() -> None:
    details = site_chart([row("weight", part="<b>", zeroed=0.02)]).to_dict()["data"][0]["customdata"][0]
    assert details == (
        "<b>layer 0, &lt;b&gt;.weight, forward</b>, int8<br>SQNR 20.0 dB<br>5.00 % saturated"
        "<br>2.00 % of the gradients zeroed<br>1,200 elements"
    )
    assert "SQNR: no noise, or no signal" in site_chart([row(sqnr=None)]).to_dict()["data"][0]["customdata"][0]


@pytest.mark.parametrize("count", [1, 2, 5, 64])
@pytest.mark.parametrize("background", [LIGHT_BACKGROUND, DARK_BACKGROUND])
def test_a_layers_colour_stands_out_on_both_backgrounds(count: int, background: str) -> None:
    colors = layer_colors(range(count))
    assert len(set(colors.values())) == count
    assert min(contrast(color, background) for color in colors.values()) >= 3


HIGH = (
    "Nodes of the highest in-degree suffer more: their SQNR is below that of the lowest at 1 of 1 places, and the "
    "mean difference, highest minus lowest, is -20.0 dB."
)
LOW = (
    "Nodes of the lowest in-degree suffer more: their SQNR is below that of the highest at 2 of 3 places, and the "
    "mean difference, highest minus lowest, is +4.0 dB."
)
NEITHER = (
    "Neither end suffers more: nodes of the highest in-degree have the lower SQNR at 1 of 2 places, "
    "those of the lowest at as many."
)


def ends(low: float, high: float, layer: int = 0) -> list[dict[str, Any]]:
    return [bucket(0, 0, 3, low, layer=layer), bucket(1, 4, 9, 0.0, layer=layer), bucket(2, 10, 99, high, layer=layer)]


@pytest.mark.parametrize(
    ("rows", "verdict"),
    [
        (ends(30.0, 10.0), HIGH),
        ([*ends(10.0, 20.0), *ends(10.0, 15.0, 1), *ends(13.0, 10.0, 2)], LOW),
        ([*ends(10.0, 20.0), *ends(20.0, 10.0, 1)], NEITHER),
        ([row()], None),
        ([bucket(0, 0, 3, None), bucket(1, 4, 9, 3.0)], None),
    ],
)
def test_the_verdict_names_the_end_that_suffers(rows: list[dict[str, Any]], verdict: str | None) -> None:
    assert degree_verdict(rows) == verdict
