"""Exclusions: what fits is left out, by what a run is and not only by what is written; slips are refused."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import InputError
from engine.sweep import expand

TABLE: dict[str, Any] = {
    "spec": {"dataset": ["cora", "karate"], "model": ["gcn", "gcn(hidden=8)"], "scheme": ["fp32", "int8", "int4"]}
}


def left(*exclude: dict[str, Any]) -> set[tuple[str, int, str]]:
    runs = expand({**TABLE, "exclude": list(exclude)}).runs
    return {(run.dataset.name, run.model.hidden, run.scheme) for run in runs}  # pyright: ignore


EVERYTHING = left()


@pytest.mark.parametrize(
    ("exclude", "out"),
    [
        ({"scheme": "int4", "dataset": "cora"}, lambda run: run[0] == "cora" and run[2] == "int4"),
        ({"scheme": ["int4", "int8"]}, lambda run: run[2] != "fp32"),
        ({"scheme": {"text": "int{b}", "b": {"from": 4, "to": 6, "step": 1}}}, lambda run: run[2] == "int4"),
        ({"model": "gcn(hidden=8)"}, lambda run: run[1] == 8),
        ({"model": {"hidden": 16}}, lambda run: run[1] == 16),  # a default, written nowhere
        ({"model": {"hidden": {"from": 4, "to": 8, "step": 4}}, "dataset": "karate"}, lambda r: r[:2] == ("karate", 8)),
    ],
)
def test_what_fits_is_left_out(exclude: dict[str, Any], out: Any):
    assert left(exclude) == {run for run in EVERYTHING if not out(run)}


def test_each_of_several_leaves_out_its_own():
    assert left({"scheme": "int4"}, {"dataset": "cora"}) == {
        ("karate", hidden, s) for hidden in (8, 16) for s in ("fp32", "int8")
    }


def test_what_cannot_be_run_can_be_left_out():
    table = {"spec": {"dataset": ["mutag", "cora"], "model": {"name": "gcn", "readout": ["mean", "none"]}}}
    exclude = [{"dataset": "mutag", "model": {"readout": "none"}}, {"dataset": "cora", "model": {"readout": "mean"}}]
    assert [run.dataset.name for run in expand({**table, "exclude": exclude}).runs] == ["mutag", "cora"]
    with pytest.raises(InputError, match="has an output a graph"):
        expand({**table, "exclude": exclude[1:]})


@pytest.mark.parametrize(
    ("exclude", "message"),
    [
        ({}, "an [[exclude]] is empty, which would exclude everything: say what is left out"),
        (
            {"seed": 1},
            "exclude.seed is not allowed: what is left out is told by dataset, task, model, scheme, training, device",
        ),
        ({"scheme": "int2"}, "an [[exclude]] leaves nothing out, since no run fits it: scheme = int2"),
        ({"scheme": "int99"}, "int99: the bits of an integer format go from 1 to 16"),
        ({"scheme": ["fp32", "int8", "int4"]}, "the sweep has no runs: everything is excluded"),
    ],
)
def test_slips_are_refused(exclude: dict[str, Any], message: str):
    with pytest.raises(InputError) as caught:
        left(exclude)
    assert str(caught.value) == message
