"""Bits under the learning curves, and before a run, as figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import pyarrow as pa

from app.charts.learning import Curve, learning_chart
from app.charts.precision import MOST_LINES, MOST_RULES, PANEL, bit_lines, schedule_chart, with_bits, with_switches
from app.schedules import Planned, Replayed


def table(bits: Sequence[float | None], run: str = "a") -> pa.Table:
    count = len(bits)
    losses = {f"{split}_loss": [1.0] * count for split in ("train", "val", "test")}
    columns = {"run": [run] * count, "epoch": list(range(1, count + 1)), "counts": [True] * count}
    return pa.table({**columns, **losses, "average_bits": pa.array(bits, pa.float64())})


def decision(epoch: int, label: str, run: str = "a", **changes: Any) -> dict[str, Any]:
    plateau = {"signal": "loss plateau", "value": 0.95, "threshold": 0.9, "reason": "the loss has stopped falling"}
    start = {"signal": "start", "value": None, "threshold": None, "reason": "the run starts"}
    row = {"run": run, "epoch": epoch, "label": label, "changes": 4}
    return row | (start if epoch == 1 else plateau) | changes


def place(epoch: int, site: str, format: str, product: str = "forward", layer: int = 0) -> dict[str, Any]:
    return {"epoch": epoch, "site": site, "product": product, "layer": layer, "format": format}


def curve(run: str = "a", scheme: str = "adq[int4,int8]") -> Curve:
    return Curve(run, f"{scheme} · seed 0", scheme, total_epochs=10)


RISING = [decision(1, "int4"), decision(3, "int5")]
BITS = [4.0, 4.0, 5.0, 5.0]


def drawn(bits: Sequence[float | None] = BITS, switches: list[dict] = RISING, **more: Any) -> go.Figure:
    epochs, curves = {"a": table(bits)}, [curve()]
    figure = with_bits(learning_chart(epochs, curves, "loss"), epochs, curves, switches, **more)
    return with_switches(figure, epochs, curves, switches)


def below(figure: go.Figure) -> dict[str, Any]:
    """The traces of the lower panel, by name."""
    return {trace["name"]: trace for trace in figure.to_dict()["data"] if trace.get("yaxis") == "y2"}


def test_bits_are_steps_on_the_x_axis_of_the_loss() -> None:
    figure = drawn()
    line = below(figure)["mean over elements"]
    assert (line["line"]["shape"], line["x"], line["y"]) == ("hv", [1, 2, 3, 4], BITS)
    layout = figure.to_dict()["layout"]
    assert layout["xaxis"]["anchor"] == "y2"
    assert layout["yaxis2"]["anchor"] == "x"
    assert layout["yaxis2"]["domain"][1] < layout["yaxis"]["domain"][0]
    assert layout["yaxis2"]["title"]["text"] == "Bits"
    assert layout["height"] == 320 + PANEL


def test_each_switch_says_on_hover_what_changed_and_why() -> None:
    marks = below(drawn())["switches"]
    assert (marks["x"], marks["y"], marks["marker"]["symbol"]) == ([1, 3], [4.0, 5.0], ["circle", "triangle-up"])
    start, later = (text.split("<br>") for text in marks["customdata"])
    assert start[0] == "<b>int4</b> from epoch 1"
    assert later == [
        "<b>int4 → int5</b> from epoch 3",
        "adq[int4,int8] · seed 0",
        "loss plateau: 0.95 against 0.9",
        "the loss has stopped falling",
        "4 formats of sites and layers",
    ]


def test_what_a_reason_holds_is_shown_as_it_stands() -> None:
    (text,) = below(drawn([4.0], [decision(1, "<i>", reason="a <b> & c")]))["switches"]["customdata"]
    assert "&lt;i&gt;" in text
    assert "a &lt;b&gt; &amp; c" in text


def test_a_switch_goes_through_both_panels() -> None:
    (rule,) = drawn().to_dict()["layout"]["shapes"]
    assert (rule["x0"], rule["x1"], rule["yref"], rule["y0"], rule["y1"]) == (3, 3, "paper", 0, 1)


def test_switches_of_several_runs_are_marked_on_their_own_curves() -> None:
    epochs = {"a": table(BITS), "b": table([8.0, 8.0], "b")}
    curves = [curve(), curve("b", "int8")]
    switches = [*RISING, decision(1, "int8", "b")]
    figure = with_switches(learning_chart(epochs, curves, "loss", splits=["val"]), epochs, curves, switches)
    (marks,) = [trace for trace in figure.to_dict()["data"] if trace["name"] == "switches"]
    assert (marks["x"], marks["y"], marks["marker"]["symbol"]) == ([3], [1.0], ["triangle-up"])
    assert marks["meta"] == ["adq[int4,int8] · seed 0", "Validation", "a", "val_loss", {"at": [3]}]
    assert marks["customdata"][0].startswith("<b>int4 → int5</b> from epoch 3<br>adq[int4,int8] · seed 0<br>")
    assert marks["marker"]["color"] == figure.to_dict()["data"][0]["line"]["color"]
    assert not figure.layout.shapes


def test_many_switches_are_marked_without_lines() -> None:
    count = MOST_RULES + 2
    figure = drawn([float(3 + epoch % 2) for epoch in range(count)], [decision(e, "x") for e in range(1, count + 1)])
    assert not figure.layout.shapes
    assert len(below(figure)["switches"]["x"]) == count
    assert set(below(figure)["switches"]["marker"]["symbol"]) == {"circle", "triangle-up", "triangle-down"}


def test_a_decision_for_an_epoch_that_is_still_to_come_is_not_drawn_yet() -> None:
    assert below(drawn([4.0, 4.0]))["switches"]["x"] == [1]


def test_a_run_that_never_said_its_precision_has_no_bits() -> None:
    figure = drawn([None, None], [])
    assert not below(figure)
    assert figure.layout.height == 320


def test_a_run_in_fp32_has_a_flat_line() -> None:
    traces = below(drawn([32.0, 32.0], [decision(1, "fp32", changes=0)], formats=[place(1, "", "")]))
    assert traces["mean over elements"]["y"] == [32.0, 32.0]
    assert "fp32" in traces["switches"]["customdata"][0]


def test_places_with_the_same_bits_at_all_times_are_one_line() -> None:
    formats = [
        *(place(1, site, "int4", layer=layer) for site in ("weight", "input") for layer in (0, 1)),
        *(place(3, site, "int5", layer=layer) for site in ("weight", "input") for layer in (0, 1)),
        place(1, "gradient", "int8", "grad_weight"),
    ]
    gradient, rest = bit_lines(formats)
    assert (gradient.name, gradient.steps) == ("gradient", ((1, 8.0, "int8"),))
    assert (rest.name, rest.steps) == ("input, weight", ((1, 4.0, "int4"), (3, 5.0, "int5")))


def test_layers_and_products_are_named_where_a_site_has_several_courses() -> None:
    formats = [
        place(1, "weight", "int8", layer=0),
        place(1, "weight", "int4", layer=1),
        place(1, "input", "int8", "forward"),
        place(1, "input", "int4", "grad_weight"),
        place(1, "feature", "int4"),
    ]
    assert [line.name for line in bit_lines(formats)] == [
        "input (forward); weight (layer 0)",
        "input (grad_weight); weight (layer 1); feature",
    ]


def test_a_format_that_is_not_known_here_is_left_out() -> None:
    assert bit_lines([place(1, "weight", "q7_5"), place(1, "input", "int4")])[0].name == "input"


def test_sites_that_differ_have_a_line_each_beside_the_mean() -> None:
    formats = [place(1, "weight", "int4"), place(3, "weight", "int6"), place(1, "gradient", "int8", "grad_weight")]
    figure = drawn([5.0, 5.0, 6.5, 6.5], formats=formats)
    traces = below(figure)
    assert (traces["weight"]["x"], traces["weight"]["y"]) == ([1, 3, 4], [4.0, 6.0, 6.0])
    assert (traces["gradient"]["x"], traces["gradient"]["y"]) == ([1, 4], [8.0, 8.0])
    assert traces["mean over elements"]["showlegend"]
    assert {traces[name]["legend"] for name in ("weight", "gradient", "mean over elements")} == {"legend2"}
    assert figure.layout.height > 320 + PANEL


def test_beyond_some_lines_the_chart_says_that_there_are_more() -> None:
    formats = [place(1, "weight", f"int{bits}", layer=bits) for bits in range(2, MOST_LINES + 4)]
    figure = drawn(formats=formats)
    assert len(below(figure)) == 2 + MOST_LINES
    assert "and 2 other courses: see the table" in [note.text for note in figure.layout.annotations]


def test_bits_of_a_run_without_an_average_are_the_places_mean() -> None:
    formats = [place(1, "weight", "int4"), place(2, "weight", "int6"), place(1, "input", "int8")]
    assert below(drawn([None, None, None], formats=formats))["mean over elements"]["y"] == [6.0, 7.0, 7.0]


def test_several_runs_have_a_line_each_where_one_of_them_changes() -> None:
    epochs = {"a": table(BITS), "b": table([8.0, 8.0], "b")}
    curves = [curve(), curve("b", "int8")]

    def panel(switches: list[dict]) -> list[Any]:
        figure = with_bits(learning_chart(epochs, curves, "loss"), epochs, curves, switches)
        return [trace["y"] for trace in figure.to_dict()["data"] if trace.get("yaxis") == "y2"]

    still = decision(1, "int8", "b")
    assert panel([*RISING, still]) == [BITS, [4.0, 5.0], [8.0, 8.0], [8.0]]
    assert panel([RISING[0], still]) == []


def test_a_replay_is_drawn_into_the_same_chart_and_says_where_it_is_an_estimate() -> None:
    steps = [decision(1, "int4") | {"bits": 4.0}, decision(3, "int6") | {"bits": 6.0}]
    figure = drawn([4.0] * 4, [RISING[0]], replayed=Replayed("adq[int4,int6]", steps, exact_until=2, last=4))
    traces = below(figure)
    line = traces["replayed: adq[int4,int6]"]
    assert (line["x"], line["y"]) == ([1, 3, 3, 4], [4.0, 4.0, 6.0, 6.0])
    assert "loss plateau: 0.95 against 0.9" in traces["replayed switches"]["customdata"][1]
    (shade,) = figure.to_dict()["layout"]["shapes"]
    assert (shade["type"], shade["x0"], shade["x1"], shade["yref"]) == ("rect", 2, 4, "y2 domain")
    assert [note.text for note in figure.layout.annotations] == ["estimate"]


def test_a_replay_that_is_exact_has_no_estimate() -> None:
    steps = [decision(1, "int4") | {"bits": 4.0}]
    figure = drawn([4.0, 4.0], [RISING[0]], replayed=Replayed("adq[int4,int6]", steps, exact_until=2, last=2))
    assert not figure.layout.shapes
    assert not figure.layout.annotations


def test_a_planned_schedule_is_steps_and_dashed_where_signals_decide() -> None:
    plans = {
        "sdq[int4,int8]": [Planned(1, 5, "int4", 4.0, True), Planned(6, 10, "int8", 8.0, True, "all of it")],
        "adq[int4,int8]": [Planned(1, 8, "int4", 4.0, True), Planned(9, 10, "int5", 5.0, False)],
    }
    figure = schedule_chart(plans, 10).to_dict()
    clocked, signalled = figure["data"]
    assert (clocked["x"], clocked["y"]) == ([1, 5, 6, 10], [4.0, 4.0, 8.0, 8.0])
    assert (clocked["line"]["shape"], clocked["line"]["dash"], signalled["line"]["dash"]) == ("hv", "solid", "dash")
    assert clocked["customdata"][2] == "int8, 8 bits<br>epochs 6 to 10<br>all of it"
    assert signalled["customdata"][2] == "int5, 5 bits<br>from epoch 9 at the earliest"
    assert figure["layout"]["xaxis"]["range"] == [0, 10]
