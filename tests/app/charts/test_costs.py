"""Cost charts: the bits' map, memory's parts, the roofline; and the card as SVG."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from app.charts.cost_svg import cost_svg
from app.charts.costs import bits_chart, memory_chart, roofline_chart


def place(site: str, layer: int, bits: float, *formats: str) -> dict[str, Any]:
    return {"site": site, "layer": layer, "bits": bits, "elements": 1234, "formats": formats or ("int8",)}


PLACES = [place("aggregate", 1, 4.5, "int4", "fp32"), place("weight", 0, 8.0), place("aggregate", 0, 32.0, "fp32")]
MEMORY = {
    "this run": {"features": 1e6, "attention": 0.0, "weights": 1e6},
    "fp32": {"features": 4e6, "attention": 0.0, "weights": 4e6},
}


def test_the_map_has_a_cell_where_something_is_quantized_in_the_order_of_the_sites() -> None:
    figure = bits_chart(PLACES, scope="training").to_dict()
    (cells,) = figure["data"]
    assert list(cells["y"]) == ["weight", "aggregate"]
    assert list(cells["x"]) == ["Layer 0", "Layer 1"]
    assert [list(line) for line in cells["text"]] == [["8", ""], ["32", "4.5"]]
    assert [list(line) for line in cells["z"]] == [[3.0, None], [5.0, pytest.approx(2.169925)]]
    assert "int4, fp32" in cells["customdata"][1][1]
    assert figure["layout"]["yaxis"]["title"]["text"] == "Site (training)"


def test_memory_is_stacked_with_shares_and_parts_that_are_absent_are_left_out() -> None:
    figure = memory_chart(MEMORY).to_dict()
    assert [(bar["name"], list(bar["x"]), list(bar["text"])) for bar in figure["data"]] == [
        ("features", [1.0, 4.0], ["50 %", "50 %"]),
        ("weights", [1.0, 4.0], ["50 %", "50 %"]),
    ]
    assert figure["layout"]["xaxis"]["title"]["text"] == "Memory (10⁶ bytes)"


def test_the_roofline_moves_each_product_from_where_fp32_has_it() -> None:
    fp32 = [{"name": "forward, layer 0", "intensity": 2.0, "attainable": 2e9, "format": "fp32"}]
    ours = [{"name": "forward, layer 0", "intensity": 8.0, "attainable": 8e9, "format": "int8"}]
    figure = roofline_chart(ours, fp32, peak=1e10, bandwidth=1e9, densities={"int8": 5.0}).to_dict()
    lines = {trace["name"]: trace for trace in figure["data"] if trace.get("name")}
    assert set(lines) == {"roof, fp32", "roof, int8", "fp32", "this run"}
    assert lines["roof, int8"]["y"][-1] == pytest.approx(5e10)
    assert list(lines["roof, fp32"]["x"])[1] == pytest.approx(10.0)
    moved = [trace for trace in figure["data"] if trace.get("line", {}).get("dash") == "dot"]
    assert [(list(trace["x"]), list(trace["y"])) for trace in moved] == [([2.0, 8.0], [2e9, 8e9])]


def test_a_run_without_work_has_an_empty_roofline() -> None:
    assert roofline_chart([], [], peak=1e9, bandwidth=1e9, densities={}).to_dict()["data"] == []


def test_the_card_is_well_formed_svg_and_says_what_people_typed_as_it_stands() -> None:
    text = cost_svg("int8 on <cora> & more", "run r0", [("Memory density (training)", "4.00×")], PLACES, MEMORY)
    root = ElementTree.fromstring(text)
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert words[:4] == ["int8 on <cora> & more", "run r0", "Memory density (training)", "4.00×"]
    assert {"4.5", "32", "8", "aggregate", "features", "2"} <= set(words)
    height = float(root.attrib["height"])
    boxes = list(root.iter("{http://www.w3.org/2000/svg}rect"))
    assert all(float(box.attrib.get("y", 0)) + float(box.attrib["height"]) <= height for box in boxes)
