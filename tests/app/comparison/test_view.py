"""What a link to Compare says."""

from __future__ import annotations

from datetime import date

import pytest

from app.comparison.groups import WHOLE
from app.comparison.view import MOST_PICKED, CompareView
from engine.costs import load_table


def test_an_empty_link_is_the_usual_view() -> None:
    view = CompareView.read({}, {})
    assert view == CompareView()
    assert (view.by, view.against, view.axes.selection, view.choice) == (WHOLE, "fp32", "test", None)


def test_a_link_says_filters_axes_groups_and_what_is_picked() -> None:
    view = CompareView.read(
        {
            "data": ["cora", "pubmed"],
            "from": ["night"],
            "since": ["2026-06-01"],
            "find": ["MSFP"],
            "metric": ["Test at last epoch"],
            "density": ["Arithmetic"],
            "mean": ["thesis"],
            "log": ["true"],
            "by": ["Scheme", "training.lr"],
            "facets": ["Dataset and architecture"],
            "against": ["int8"],
            "group": ["a,b"],
            "sort": ["Test"],
            "descending": ["false"],
        },
        {},
    )
    assert (view.filters.dataset, view.filters.sweep, view.filters.text) == (("cora", "pubmed"), ("night",), "MSFP")
    assert view.filters.since == date(2026, 6, 1)
    assert (view.axes.density, view.axes.mean, view.axes.log_x) == ("arithmetic_density", "thesis mean", True)
    assert view.axes.value == "last_mean"
    assert (view.by, view.facets, view.against) == (("Scheme", "training.lr"), "Dataset and architecture", "int8")
    assert (view.picked, view.sort, view.descending) == (("a", "b"), "Test", False)


@pytest.mark.parametrize("density", ["Memory", "nonsense"])
def test_what_a_link_says_of_nothing_known_is_as_usual(density: str) -> None:
    view = CompareView.read({"density": [density], "scope": ["x"], "facets": ["x"], "since": ["soon"]}, {})
    assert view == CompareView()


def test_another_figure_is_looked_up_and_stands_on_the_axis() -> None:
    view = CompareView.read({"density": ["Another figure"], "figure": ["Feature memory"]}, {})
    assert view.choice == "feature_memory"
    assert view.axes.other is not None
    assert view.axes.lower_is_better


def test_a_cost_table_is_said_by_name_or_title() -> None:
    table = load_table("energy-45nm")
    tables = {each.name: each for each in (load_table(), table)}
    for said in (table.name, table.title):
        assert CompareView.read({"density": ["Arithmetic"], "costs": [said]}, tables).table == table
    assert CompareView.read({"costs": ["gone"]}, tables) == CompareView()


def test_another_metric_is_one_by_its_name() -> None:
    view = CompareView.read({"metric": ["F1 (%)"]}, {})
    assert (view.metric, view.axes.selection) == ("F1 (%)", "test")


def test_only_so_many_groups_are_picked() -> None:
    assert len(CompareView.read({"group": [",".join(map(str, range(20)))]}, {}).picked) == MOST_PICKED
