"""The accuracy-versus-density chart as a figure."""

from __future__ import annotations

from typing import Any

import pytest

from app.charts.pareto import MOST_DRAWN, MOST_LABELS, Axes, Band, Other, pareto_chart, pareto_data
from app.theme import FAMILIES


def group(scheme: str, memory: float, test: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "group_id": f"group-{scheme}",
        "dataset": "cora",
        "model": "gcn",
        "scheme": scheme,
        "settings": "",
        "synthetic": False,
        "n": 3,
        "test_mean": test,
        "test_std": 0.5,
        "last_mean": test,
        "val_mean": test,
        "memory_density": memory,
        "arithmetic_density": 2 * memory,
        "memory_density_thesis": memory,
        "arithmetic_density_thesis": 3 * memory,
        "arithmetic_label": "published",
        "average_bits": 32 / memory,
        "metric": "accuracy",
        "unit": "%",
        "higher_is_better": True,
    } | changes


GROUPS = [group("fp32", 1, 81.0), group("int8", 4, 81.5), group("int4", 8, 75.0), group("msfp16", 3.8, 80.0)]


def drawn(figure) -> dict[str, tuple[float, float, str]]:
    """x, y and colour of each group."""
    return {
        details[0]: (trace["x"][index], trace["y"][index], trace["marker"]["color"])
        for trace in figure.to_dict()["data"]
        for index, details in enumerate(trace.get("customdata") or [])
    }


def line(figure) -> list[tuple[float, float]]:
    front = figure.to_dict()["data"][0]
    return list(zip(front["x"], front["y"], strict=True))


def test_the_front_is_drawn_as_steps_from_the_left_edge() -> None:
    figure = pareto_chart(GROUPS, Axes())
    assert figure.to_dict()["data"][0]["line"]["shape"] == "vh"
    assert line(figure) == [(1, 81.5), (4, 81.5), (8, 75.0)]


def test_dominated_groups_are_pale_and_the_others_in_their_familys_colour() -> None:
    colors = {name: color for name, (_, _, color) in drawn(pareto_chart(GROUPS, Axes())).items()}
    assert colors["group-int8"] == colors["group-int4"] == FAMILIES["affine"].color
    assert colors["group-fp32"].endswith("0.32)")
    assert colors["group-msfp16"].endswith("0.32)")


def test_error_bars_are_the_deviation_over_seeds_and_none_for_one_seed() -> None:
    figure = pareto_chart([group("int8", 4, 81.5, test_std=None, n=1)], Axes()).to_dict()
    assert figure["data"][-1]["error_y"]["array"] == [0]
    assert pareto_chart(GROUPS, Axes()).to_dict()["data"][2]["error_y"]["array"] == [0.5, 0.5]


def test_few_round_numbers_on_a_logarithmic_axis_leave_it_to_plotly() -> None:
    axis = pareto_chart([group("int8", 8.5, 81.5), group("int4", 11.0, 80.0)], Axes(log_x=True)).to_dict()["layout"][
        "xaxis"
    ]
    assert "tickvals" not in axis
    assert axis["tickformat"] == "~g"


def test_a_phone_has_names_in_places_of_its_own() -> None:
    groups = [group("msfp16", 4.0, 81.5), group("msfp15", 5.0, 81.4), group("int4", 12.0, 70.0)]
    figure = pareto_data(groups, Axes())
    (trace,) = (trace for trace in figure["data"] if trace["name"] == "msfp" and trace.get("customdata"))
    assert figure["layout"]["meta"]["width"] == 900
    assert trace["textposition"] == ["top right", "top right"]
    assert trace["meta"]["narrow"]["textposition"] == ["top right", "bottom right"]


def test_the_axis_names_density_scope_and_coverage() -> None:
    axes = Axes("arithmetic_density", "inference", "whole step", log_x=True)
    layout = pareto_chart(GROUPS, axes).to_dict()["layout"]
    assert layout["xaxis"]["title"]["text"] == "Arithmetic density, harmonic mean (× fp32):<br>inference, whole step"
    assert layout["xaxis"]["type"] == "log"
    assert layout["xaxis"]["tickvals"] == [2, 3, 5, 7, 10, 20]
    assert layout["yaxis"]["title"]["text"] == "Test accuracy (%), mean ± std over seeds"


def test_the_axes_choose_the_density() -> None:
    assert drawn(pareto_chart(GROUPS, Axes("arithmetic_density")))["group-int8"][0] == 8


def test_the_axes_choose_the_mean_and_name_it() -> None:
    figure = pareto_chart(GROUPS, Axes("arithmetic_density", mean="thesis mean"))
    assert drawn(figure)["group-int8"][0] == 12
    title = figure.to_dict()["layout"]["xaxis"]["title"]["text"]
    assert title == "Arithmetic density, thesis mean (× fp32):<br>training, quantized part"


def test_a_group_of_an_older_store_without_the_thesis_mean_is_left_out_of_its_chart() -> None:
    groups = [*GROUPS, group("int3", 10, 70.0, memory_density_thesis=None)]
    assert "group-int3" not in drawn(pareto_chart(groups, Axes(mean="thesis mean")))
    assert "group-int3" in drawn(pareto_chart(groups, Axes()))


def test_both_means_are_said_of_a_point_where_they_differ() -> None:
    def said(*groups) -> str:
        traces = pareto_chart(groups, Axes()).to_dict()["data"]
        return next(trace["customdata"][0][1] for trace in traces if "customdata" in trace)

    assert "thesis mean: memory 4.00× · arithmetic 12.00×" in said(GROUPS[1])
    assert "harmonic mean: memory 4.00× · arithmetic 8.00×" in said(GROUPS[1])
    assert "thesis" not in said(group("int8", 4, 81.0, arithmetic_density_thesis=8.0))


def test_lower_is_better_turns_the_front_over() -> None:
    errors = [group(scheme, memory, test, higher_is_better=False) for scheme, memory, test in
              (("fp32", 1, 0.2), ("int8", 4, 0.3), ("int4", 8, 0.25))]  # fmt: skip
    assert line(pareto_chart(errors, Axes())) == [(1, 0.2), (1, 0.2), (8, 0.25)]


def test_groups_without_a_result_or_a_density_are_left_out() -> None:
    groups = [*GROUPS, group("int2", 16, None), group("int3", 10, 70.0, memory_density=None)]
    assert set(drawn(pareto_chart(groups, Axes()))) == {row["group_id"] for row in GROUPS}


def test_no_group_makes_an_empty_chart() -> None:
    assert drawn(pareto_chart([], Axes())) == {}


def test_several_models_are_named_on_the_points() -> None:
    figure = pareto_chart([*GROUPS, group("int8", 5, 70.0, model="gcn(hidden=32)")], Axes()).to_dict()
    names = [name.strip() for trace in figure["data"] for name in trace.get("text") or []]
    assert "int8 · gcn(hidden=32)" in names
    assert "int8 · gcn" in names


def test_in_a_crowd_only_the_front_is_named() -> None:
    crowd = [group(f"int8:{index}", 2 + index / 1000, 50.0 + index / 1000) for index in range(MOST_LABELS)]
    traces = pareto_chart([*crowd, *GROUPS], Axes()).to_dict()["data"]
    named = {name.strip() for trace in traces for name in trace.get("text") or [] if name}
    assert named == {"int8", "int4"}


def test_the_picked_group_is_larger() -> None:
    trace = pareto_chart([group("int8", 4, 81.5)], Axes(), picked="group-int8").to_dict()["data"][-1]
    assert trace["marker"]["size"] == [15]


@pytest.mark.parametrize(
    ("label", "said"), [("published", "arithmetic 8.00×"), ("interpolated", "arithmetic 8.00× (interpolated)")]
)
def test_hover_says_what_the_densities_are(label: str, said: str) -> None:
    row = group("int8", 4, 81.5, arithmetic_label=label, settings="epochs=20")
    text = pareto_chart([row], Axes()).to_dict()["data"][-1]["customdata"][0][1]
    assert text.split("<br>") == [
        "<b>int8</b> · gcn · cora",
        "test at best validation 81.50 ± 0.50 %, n = 3",
        "test at last epoch 81.50 % · validation 81.50 %",
        f"harmonic mean: memory 4.00× · {said}",
        "thesis mean: memory 4.00× · arithmetic 12.00×",
        "average bits 8.00 · training, quantized part",
        "epochs=20",
    ]


def test_a_lower_is_better_axis_is_turned_round() -> None:
    groups = [group("fp32", 1, 81.0, other=32.0), group("int8", 4, 81.5, other=8.0), group("int4", 8, 75.0, other=4.0)]
    figure = pareto_chart(groups, Axes(other=Other("Average bits", "", lower_is_better=True)))
    assert figure.to_dict()["layout"]["xaxis"]["autorange"] == "reversed"
    assert line(figure) == [(32.0, 81.5), (8.0, 81.5), (4.0, 75.0)]


def test_a_logarithmic_axis_leaves_out_what_is_zero() -> None:
    groups = [group("int8", 4, 81.5, other=7.0), group("int1", 8, 75.0, other=0.0)]
    assert set(drawn(pareto_chart(groups, Axes(other=Other("Bits", ""), log_x=True)))) == {"group-int8"}
    assert set(drawn(pareto_chart(groups, Axes(other=Other("Bits", ""))))) == {"group-int8", "group-int1"}


@pytest.mark.parametrize(
    ("log", "lower", "ends"),
    [
        (False, False, [2.0, 6.0]),
        (False, True, [6.0, 2.0]),
        (True, False, [pytest.approx(0.30103), pytest.approx(0.778151)]),
    ],
)
def test_one_value_stands_in_the_middle_of_its_axis(log: bool, lower: bool, ends: list[float]) -> None:
    axes = Axes(other=Other("Energy", "", lower_is_better=lower), log_x=log)
    axis = pareto_chart([group("int8", 4, 81.5, other=4.0)], axes).to_dict()["layout"]["xaxis"]
    assert list(axis["range"]) == ends


def test_a_point_says_how_its_price_is_known() -> None:
    groups = [group("int8", 4, 81.5, other=4.0), group("int6", 5, 81.0, other=3.0, other_certainty="interpolated")]
    figure = pareto_chart(groups, Axes(other=Other("Energy (J)<br>Mine", "")))
    hovers = [each[1] for trace in figure.to_dict()["data"] for each in trace.get("customdata") or []]
    assert [hover.split("<br>")[2] for hover in sorted(hovers)] == [
        "Energy (J), Mine: 3 (interpolated)",
        "Energy (J), Mine: 4",
    ]


def test_another_selection_stands_upright_with_its_name() -> None:
    groups = [group("int8", 4, 81.5, last_mean=70.0, last_std=0.25)]
    figure = pareto_chart(groups, Axes(selection="last")).to_dict()
    assert drawn(pareto_chart(groups, Axes(selection="last")))["group-int8"][1] == 70
    assert figure["data"][-1]["error_y"]["array"] == [0.25]
    assert figure["layout"]["yaxis"]["title"]["text"] == "Test accuracy (%) at last epoch, mean ± std over seeds"
    assert Axes(selection="max").upright("accuracy", "%") == (
        "Test accuracy (%), best of all epochs (never the headline), mean ± std over seeds"
    )
    assert Axes(selection="val").upright("MAE", "") == "Validation MAE, mean ± std over seeds"


def test_what_is_near_the_baseline_lies_in_a_band() -> None:
    layout = pareto_chart(GROUPS, Axes(), band=Band(80, 82, "within 1 % of fp32 (81.00)")).to_dict()["layout"]
    (shape,) = layout["shapes"]
    assert (shape["y0"], shape["y1"], shape["layer"]) == (80, 82, "below")
    assert [note["text"] for note in layout["annotations"]] == ["within 1 % of fp32 (81.00)"]


def test_the_bands_name_stands_where_it_covers_no_point() -> None:
    """fp32 lies at the left end of the chart, and in the middle of the band around it."""
    groups = [*GROUPS, group("int8", 3, 60.0)]
    (note,) = pareto_data(groups, Axes(), band=Band(80, 82, "within 1 % of fp32 (81.00)"))["layout"]["annotations"]
    assert (note["x"], note["xanchor"], note["y"], note["yanchor"]) == (1, "right", 80, "bottom")
    crowd = [group("int8", 8, 80 + n / 10, group_id=f"g{n}") for n in range(20)]
    band = Band(80, 82, "within 1 % of fp32 (81.00)")
    (note,) = pareto_data([group("fp32", 1, 60.0), *crowd], Axes(), band=band)["layout"]["annotations"]
    assert note["xanchor"] == "left"


def test_in_a_great_crowd_one_point_a_spot_is_drawn_and_none_of_the_front_is_lost() -> None:
    crowd = [group("int8", 2 + (n % 50) / 50, 60 + n / 1000, group_id=f"g{n}") for n in range(MOST_DRAWN)]
    figure = pareto_chart([*crowd, *GROUPS], Axes(), picked=["g7"])
    found = drawn(figure)
    assert figure.to_dict()["layout"]["meta"]["left_out"] == MOST_DRAWN + len(GROUPS) - len(found) > 0
    assert {"group-int8", "group-int4", "g7"} <= set(found)
    pale = [trace for trace in figure.to_dict()["data"] if trace.get("mode") == "markers" and "customdata" in trace]
    assert pale
    assert not any(trace["error_y"]["visible"] for trace in pale)
