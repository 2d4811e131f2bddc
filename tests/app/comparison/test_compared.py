"""A view worked out: what groups may be of, and which runs of two groups are partners."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.comparison.compared import Compared, compare, narrow, paired_difference
from app.comparison.filters import Filters
from app.comparison.frames import Frame
from app.comparison.groups import WHOLE
from app.comparison.results import KnownSpecs
from app.comparison.view import CompareView
from tests.app.comparison.runs import run, table


def known(every: Frame) -> KnownSpecs:
    fields = {"dataset.name": "cora", "training.lr": 0.01, "scheme": "int8", "device": "auto"}
    values = defaultdict(set, {name: {str(value)} for name, value in fields.items()})
    return KnownSpecs(fields=dict.fromkeys(every["group_id"], fields), values=values)


def compared(every: Frame, *by: str) -> Compared:
    return compare(every, known(every), CompareView(by=by or WHOLE))


def difference(found: Compared, name: str, first: str, second: str) -> dict[str, float | int]:
    ids = {row[name]: row["group_id"] for row in found.groups}
    return paired_difference(found, ids[first], ids[second])


@pytest.mark.parametrize("name", ["counted", "group_id", "test", "scheme", "device", "of.nothing"])
def test_groups_are_of_what_can_be_grouped_by(name: str) -> None:
    every = table(run("int8", 0), run("int8", 1), run("fp32", 0))
    assert compared(every, name).view.by == WHOLE
    found = compared(every, "Scheme", name, "training.lr")
    assert found.view.by == ("Scheme", "training.lr")
    assert {row["scheme"]: (row["n"], row["training.lr"]) for row in found.groups} == {
        "int8": (2, "0.01"),
        "fp32": (1, "0.01"),
    }


def test_partners_of_groups_over_datasets_share_theirs() -> None:
    every = table(
        *(run("int8", seed, test=80 + 2 * seed) for seed in (0, 1)),
        *(run("int8", seed, test=60 + seed, dataset="citeseer") for seed in (0, 1)),
        *(run("fp32", seed, test=81) for seed in (0, 1)),
        run("fp32", 1, test=65, dataset="citeseer"),
    )
    found = difference(compared(every, "Scheme"), "scheme", "int8", "fp32")
    assert (found["n"], found["mean"]) == (3, pytest.approx((-1 + 1 - 4) / 3))


def test_groups_of_one_configuration_are_paired_by_seed_whatever_differs() -> None:
    every = table(
        *(run("int8", seed, test=80 + 2 * seed, settings="lr=1") for seed in (0, 1)),
        *(run("int8", seed, test=80 + seed, settings="lr=2") for seed in (0, 1, 2)),
    )
    found = difference(compared(every), "settings", "lr=1", "lr=2")
    assert (found["n"], found["mean"]) == (2, 0.5)


def test_where_several_runs_are_alike_nothing_is_paired() -> None:
    every = table(run("int8", 0), run("int4", 0), run("fp32", 0), run("int8", 0, model="gat"))
    found = difference(compared(every, "Architecture"), "model", "gcn", "gat")
    assert found["n"] == 0
    assert math.isnan(found["p"])


@settings(max_examples=8)  # a view takes 50 ms to work out, however few its runs are
@given(
    st.lists(st.tuples(st.sampled_from(["fp32", "int8", "int4"]), st.integers(0, 4), st.sampled_from("ab"),
                       st.none() | st.floats(0, 100)), min_size=1, max_size=20, unique_by=lambda each: each[:3]),
    st.builds(Filters, scheme=st.sets(st.sampled_from(["fp32", "int8", "int4"])).map(tuple),
              dataset=st.sampled_from([(), ("a",), ("c",)]), text=st.sampled_from(["", "int8-a", "1"])),
)  # fmt: skip
def test_narrowed_is_the_same_as_filtered_from_the_beginning(rows: list, filters: Filters) -> None:
    every = table(*(run(scheme, seed, dataset=dataset, test=test) for scheme, seed, dataset, test in rows))
    whole = compare(every, known(every), CompareView())
    wanted = compare(every, known(every), CompareView(filters=filters))
    found = narrow(whole, filters)
    assert found.groups == wanted.groups
    assert found.runs["run"].tolist() == wanted.runs["run"].tolist()
    assert found.view == wanted.view
