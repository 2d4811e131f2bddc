"""A sweep's conclusion: of each family the densest scheme that stays near the baseline, there and everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.conclusion import DENSITIES, conclude
from engine.sweep import Sweep, expand

DENSITY = {"fp32": 1.0, "int2": 20.0, "int4": 10.0, "int8": 5.0, "sdq[int4,int8]": 7.0}


def plan(datasets: list[str], within: float = 1.0) -> Sweep:
    families = [
        {"name": "fixed", "schemes": {"text": "int{b}", "b": [2, 4, 8]}},
        {
            "name": "dynamic",
            "starts": ["sdq", "adq"],
            "memory": 6.5,
            "arithmetic": 26,
            "source": "a paper",
            "provenance": "given",
        },
    ]
    spec = {"dataset": datasets, "model": "gcn", "scheme": list(DENSITY)}
    return expand({"spec": spec, "baseline": "fp32", "conclusion": {"within": within, "families": families}})


def concluded(sweep: Sweep, differences: Mapping[str, Sequence[float | None]], higher: bool = True) -> list[tuple]:
    """What is concluded where a scheme differs so much from fp32 on each dataset."""
    places = list(dict.fromkeys(cell.dataset.name for cell in sweep.cells))
    cells = {cell.group: cell for cell in sweep.cells}
    groups = [
        {"group_id": group, **{name: DENSITY[cell.scheme] + places.index(cell.dataset.name) for name in DENSITIES}}
        for group, cell in cells.items()
    ]
    paired: list[dict[str, Any]] = [
        {
            "a": a,
            "b": b,
            "difference": differences[cells[a].scheme][places.index(cells[a].dataset.name)],
            "ci95": 0.1,
            "n": 3,
            "higher_is_better": higher,
        }
        for a, b in sweep.pairs
    ]
    rows = conclude(sweep, groups, paired)
    return [(row["family"], row["place"].split(" ")[0], row["scheme"], row["arithmetic_density"]) for row in rows]


def test_the_densest_that_is_near_enough_is_taken_place_by_place_and_everywhere() -> None:
    differences = {
        "int2": [-9.0, -0.5],
        "int4": [-1.0, -1.5],
        "int8": [0.2, -0.9],
        "sdq[int4,int8]": [-3.0, 0.0],
    }
    assert concluded(plan(["cora", "citeseer"]), differences) == [
        ("fixed", "cora", "int4", 10.0),
        ("fixed", "citeseer", "int2", 21.0),
        ("fixed", "everywhere", "int8", 5.5),
        ("dynamic", "cora", None, None),
        ("dynamic", "citeseer", "sdq[int4,int8]", 8.0),
        ("dynamic", "everywhere", None, None),
    ]


def test_an_error_is_worse_where_it_is_larger() -> None:
    differences = {"int2": [1.5], "int4": [0.9], "int8": [-2.0], "sdq[int4,int8]": [1.1]}
    assert concluded(plan(["cora"]), differences, higher=False) == [
        ("fixed", "cora", "int4", 10.0),
        ("dynamic", "cora", None, None),
    ]


def test_what_has_no_difference_yet_concludes_nothing() -> None:
    differences = {scheme: [None, None] for scheme in DENSITY}
    assert {row[2] for row in concluded(plan(["cora", "citeseer"]), differences)} == {None}


def test_the_papers_densities_stand_beside_what_holds_everywhere() -> None:
    sweep = plan(["cora", "citeseer"])
    found = [(row["family"], row["place"], row["published"]) for row in conclude(sweep, [], [])]
    said = [row for row in found if row[2]]
    assert said == [("dynamic", "everywhere", "6.5× memory, 26× arithmetic, a paper")]


def test_settings_are_a_place_where_a_scheme_stands_with_several() -> None:
    families = [{"name": "fixed", "schemes": ["int4", "int8"]}]
    spec = {"dataset": "cora", "model": "gcn", "scheme": ["fp32", "int4", "int8"], "training": {"lr": [0.02, 0.1]}}
    sweep = expand({"spec": spec, "baseline": "fp32", "conclusion": {"within": 1.0, "families": families}})
    cells = {cell.group: cell for cell in sweep.cells}
    groups = [{"group_id": group, **dict.fromkeys(DENSITIES, DENSITY[cell.scheme])} for group, cell in cells.items()]
    differences = {("int4", 0.02): -0.5, ("int8", 0.02): 0.0, ("int4", 0.1): -5.0, ("int8", 0.1): -0.2}
    paired: list[dict[str, Any]] = [
        {
            "a": a,
            "b": b,
            "difference": differences[cells[a].scheme, cells[a].training.lr],
            "ci95": 0.1,
            "n": 3,
            "higher_is_better": True,
        }
        for a, b in sweep.pairs
    ]
    for rows in (paired, paired[::-1]):
        assert [(row["place"], row["scheme"]) for row in conclude(sweep, groups, rows)] == [
            ("cora · gcn · lr=0.02", "int4"),
            ("cora · gcn · lr=0.1", "int8"),
            ("everywhere", "int8"),
        ]
