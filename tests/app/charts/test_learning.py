"""Learning curves as figures."""

from __future__ import annotations

import pyarrow as pa
import pytest

from app.charts.layout import traces_of
from app.charts.learning import Curve, learning_chart, smoothed, with_smoothing


def table(values: list[float | None], run: str = "a", counts: list[bool] | None = None) -> pa.Table:
    count = len(values)
    columns = {f"{split}_{quantity}": values for split in ("train", "val", "test") for quantity in ("loss", "metric")}
    return pa.table(
        {"run": [run] * count, "epoch": list(range(1, count + 1)), "counts": counts or [True] * count, **columns}
    )


def curve(run: str = "a", scheme: str = "int8", seed: int = 0, best_epoch: int | None = None) -> Curve:
    return Curve(run, f"{scheme} · seed {seed}", scheme, total_epochs=10, best_epoch=best_epoch)


def test_one_run_has_a_line_for_each_split() -> None:
    figure = learning_chart({"a": table([1.0, 0.5])}, [curve()], "loss").to_dict()
    assert [trace["name"] for trace in figure["data"]] == ["Train", "Validation", "Test"]
    assert len({trace["line"]["dash"] for trace in figure["data"]}) == 3


def test_epochs_that_only_prepare_are_shaded() -> None:
    rows = table([1.0, 0.9, 0.5], counts=[False, False, True])
    (band,) = learning_chart({"a": rows}, [curve()], "loss").to_dict()["layout"]["shapes"]
    assert (band["type"], band["x0"], band["x1"]) == ("rect", 0, 2)
    assert not learning_chart({"a": table([1.0, 0.5])}, [curve()], "loss").layout.shapes


def test_the_axis_reaches_to_the_last_epoch_before_it_comes() -> None:
    figure = learning_chart({"a": table([1.0])}, [curve()], "metric", name="Accuracy", unit="%").to_dict()
    assert figure["layout"]["xaxis"]["range"] == [0, 10]
    assert figure["layout"]["yaxis"]["title"]["text"] == "Accuracy (%)"


def test_axes_may_be_logarithmic_and_notes_stand_where_they_mean() -> None:
    epochs = {"a": table([1.0] * 10, counts=[False] * 2 + [True] * 8)}
    layout = learning_chart(epochs, [curve(best_epoch=10)], "loss", log={"x", "y"}).to_dict()["layout"]
    assert (layout["xaxis"]["type"], layout["xaxis"]["range"], layout["yaxis"]["type"]) == ("log", [0, 1], "log")
    assert [(note["text"], note["x"]) for note in layout["annotations"]] == [("best validation", 1), ("prepares", 0)]
    assert [shape["x0"] for shape in layout["shapes"]] == [10, 1]
    straight = learning_chart(epochs, [curve()], "loss").to_dict()["layout"]
    assert (straight["xaxis"]["range"], straight["yaxis"]["type"]) == ([0, 10], "linear")
    assert straight["uirevision"] != layout["uirevision"]  # a zoom of the one means nothing on the other


def test_a_first_epoch_is_a_visible_point() -> None:
    figure = learning_chart({"a": table([1.0])}, [curve()], "loss").to_dict()
    assert {trace["mode"] for trace in figure["data"]} == {"lines+markers"}


def test_seeds_of_a_scheme_share_colour_and_legend_entry() -> None:
    curves = [curve("a"), curve("b", seed=1), curve("c", "msfp13")]
    epochs = {run: table([1.0, 0.5], run) for run in "abc"}
    traces = learning_chart(epochs, curves, "loss", splits=["val"]).to_dict()["data"]
    assert [(trace["name"], trace["showlegend"]) for trace in traces] == [
        ("int8", True),
        ("int8", False),
        ("msfp13", True),
    ]
    assert traces[0]["line"]["color"] == traces[1]["line"]["color"] != traces[2]["line"]["color"]
    assert [trace["meta"][0] for trace in traces] == ["int8 · seed 0", "int8 · seed 1", "msfp13 · seed 0"]


def test_a_split_that_was_never_measured_has_no_line() -> None:
    epochs = table([1.0, 0.5]).set_column(5, "val_loss", pa.array([None, None], pa.float64()))
    figure = learning_chart({"a": epochs}, [curve()], "loss").to_dict()
    assert "Validation" not in [trace["name"] for trace in figure["data"]]


def test_zoom_is_kept_while_points_arrive() -> None:
    before = learning_chart({"a": table([1.0])}, [curve()], "loss").to_dict()
    after = learning_chart({"a": table([1.0, 0.5])}, [curve()], "loss").to_dict()
    other = learning_chart({"b": table([1.0], "b")}, [curve("b")], "loss").to_dict()
    assert before["layout"]["uirevision"] == after["layout"]["uirevision"] != other["layout"]["uirevision"]


def test_the_best_epoch_of_a_finished_run_is_marked() -> None:
    figure = learning_chart({"a": table([1.0, 0.5])}, [curve(best_epoch=2)], "loss").to_dict()
    assert figure["layout"]["shapes"][0]["x0"] == 2
    assert figure["layout"]["annotations"][0]["text"] == "best validation"


def test_a_run_without_epochs_is_no_line() -> None:
    assert learning_chart({}, [curve()], "loss").to_dict()["data"] == []


def test_smoothing_has_no_bias_of_its_beginning_and_keeps_gaps() -> None:
    assert smoothed([2.0, None, 2.0], 0.9) == pytest.approx([2.0, None, 2.0])
    assert smoothed([0.0, 1.0], 0.5) == pytest.approx([0.0, 2 / 3])


def test_a_smoothed_chart_has_what_was_measured_pale_behind_each_curve() -> None:
    figure = learning_chart({"a": table([0.0, 1.0])}, [curve()], "loss", splits=["val"])
    assert with_smoothing(figure, 0.0) is figure
    pale, line = traces_of(with_smoothing(figure, 0.5))
    assert (pale.opacity, pale.showlegend, list(pale.y)) == (0.22, False, [0.0, 1.0])
    assert list(line.y) == pytest.approx([0.0, 2 / 3])
    assert line.name == "Validation"
