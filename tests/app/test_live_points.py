"""What is sent to a page that watches runs: each point once, a figure when it is another one."""

from __future__ import annotations

import math

import plotly.graph_objects as go
import pyarrow as pa

from app.live_points import OVERLAP, LivePoints


def table(values: list[float | None]) -> pa.Table:
    return pa.table({"epoch": list(range(1, len(values) + 1)), "val_loss": pa.array(values, pa.float64())})


def curve(run: str = "a", **more) -> go.Figure:
    return go.Figure(go.Scatter(x=[1], y=[9.0], name=run, meta=["name", "Validation", run, "val_loss"], **more))


class Page:
    """Draws curves of the runs it is asked for, and counts how often."""

    def __init__(self) -> None:
        self.points, self.drawn = LivePoints(), 0

    def tell(self, epochs: dict[str, pa.Table], shape: str = "as before", **lives: int) -> dict:
        def draw() -> list[go.Figure]:
            self.drawn += 1
            return [curve(run) for run in epochs]

        return self.points.message(epochs, dict.fromkeys(epochs, 1) | lives, shape, draw)


def points(message: dict) -> dict[str, tuple[int, list]]:
    """Where the points that a message brings begin, and their values, by run."""
    return {run: (found["start"], found["columns"]["val_loss"]) for run, found in message["points"].items()}


def settled(epochs: dict[str, pa.Table], **more) -> Page:
    """A page that was told of these so often that nothing of it is repeated any more."""
    page = Page()
    for _ in range(OVERLAP):
        page.tell(epochs, **more)
    return page


def test_a_first_message_has_all_points_apart_from_the_figures() -> None:
    message = Page().tell({"a": table([1.0, 0.5])})
    assert (message["number"], message["drawn"]) == (1, 1)
    assert message["points"] == {"a": {"start": 0, "columns": {"epoch": [1, 2], "val_loss": [1.0, 0.5]}}}
    ((trace,),) = (figure["data"] for figure in message["figures"])
    assert (trace["name"], "x" in trace, "y" in trace) == ("a", False, False)
    assert "template" not in message["figures"][0]["layout"]


def test_a_new_point_is_sent_alone_and_nothing_is_drawn_for_it() -> None:
    page = settled({"a": table([1.0]), "b": table([2.0])})
    message = page.tell({"a": table([1.0, 0.5]), "b": table([2.0])})
    assert points(message) == {"a": (1, [0.5])}
    assert (message["drawn"], message["figures"], page.drawn) == (1, None, 1)
    assert {run: count for run, (_, count) in message["held"].items()} == {"a": 2, "b": 1}


def test_what_is_new_is_repeated_for_a_page_that_skips_messages() -> None:
    page = settled({"a": table([1.0])})
    page.tell({"a": table([1.0, 0.5])}, shape="another")
    for _ in range(OVERLAP - 1):
        message = page.tell({"a": table([1.0, 0.5])}, shape="another")
        assert points(message) == {"a": (1, [0.5])}
        assert message["figures"] is not None
    message = page.tell({"a": table([1.0, 0.5])}, shape="another")
    assert (message["points"], message["figures"], message["drawn"]) == ({}, None, OVERLAP + 1)


def test_a_figure_of_another_shape_is_sent_without_the_points_that_are_there() -> None:
    page = settled({"a": table([1.0])})
    message = page.tell({"a": table([1.0])}, shape="another")
    assert (len(message["figures"]), message["points"]) == (1, {})


def test_a_run_with_another_past_is_sent_from_its_beginning() -> None:
    page = settled({"a": table([1.0, 2.0]), "b": table([1.0])}, a=1)
    message = page.tell({"a": table([3.0, 4.0, 5.0]), "b": table([1.0])}, a=2)
    assert points(message) == {"a": (0, [3.0, 4.0, 5.0])}
    assert message["held"]["a"][0] != message["held"]["b"][0]


def test_a_column_that_was_not_shown_before_is_sent_with_all_its_points() -> None:
    live, rows = LivePoints(), table([1.0, 2.0]).append_column("test_loss", pa.array([3.0, 4.0]))
    for _ in range(OVERLAP):
        live.message({"a": rows}, {"a": 1}, "validation", lambda: [curve()])
    test = go.Figure(go.Scatter(meta=["name", "Test", "a", "test_loss"]))
    message = live.message({"a": rows}, {"a": 1}, "test", lambda: [test])
    assert message["points"] == {"a": {"start": 0, "columns": {"epoch": [1, 2], "test_loss": [3.0, 4.0]}}}


def test_a_page_that_lost_all_is_told_all_of_it() -> None:
    page = settled({"a": table([1.0])})
    page.points.begin_anew()
    message = page.tell({"a": table([1.0, 2.0])})
    assert (points(message), len(message["figures"]), message["drawn"]) == ({"a": (0, [1.0, 2.0])}, 1, OVERLAP + 1)
    assert page.drawn == 1


def test_what_is_no_number_is_sent_as_nothing_and_others_in_six_digits() -> None:
    message = Page().tell({"a": table([None, math.nan, math.inf, 0.123456789, 1234567.0])})
    assert message["points"]["a"]["columns"]["val_loss"] == [None, None, None, 0.123457, 1234570.0]


def test_what_is_drawn_besides_curves_keeps_its_points() -> None:
    figure = curve().add_scatter(x=[3], y=[4.0], name="mark", meta=["name"])
    message = LivePoints().message({"a": table([1.0])}, {"a": 1}, "", lambda: [figure])
    assert message["figures"][0]["data"][1]["x"] == [3]
