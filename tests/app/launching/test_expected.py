"""How long a launch takes, told by the most that is known of each run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.launching.expected import expected_time
from engine.spec import RunSpec


def pace(seconds: float, *names: str) -> dict[str, Any]:
    dataset, model, scheme = (*names, None, None, None)[:3]
    if dataset is not None:
        dataset = json.dumps(cell(dataset).dataset.model_dump(mode="json"))
    return {"dataset": dataset, "model": model, "scheme": scheme, "seconds_per_epoch": seconds, "n": 1}


def cell(dataset: str = "cora", model: str = "gcn", scheme: str = "int8") -> RunSpec:
    return RunSpec.parse({"dataset": dataset, "model": model, "scheme": scheme, "training": {"epochs": 10}})


OTHERS = "other datasets (whatever their other settings and device)"
PACES = [pace(8.0), pace(4.0, "cora"), pace(2.0, "cora", "gcn"), pace(1.0, "cora", "gcn", "int8")]


@pytest.mark.parametrize(
    ("known", "seconds", "told_by"),
    [
        (4, 30, "this dataset, architecture and scheme (whatever their other settings and device)"),
        (3, 60, "this dataset and architecture (whatever their other settings and device)"),
        (2, 120, "this dataset (whatever their other settings and device)"),
        (1, 240, OTHERS),
    ],
)
def test_the_most_telling_pace_counts(known: int, seconds: float, told_by: str) -> None:
    found = expected_time([cell()], 3, PACES[:known])
    assert found is not None
    assert (found.seconds, found.told_by) == (seconds, told_by)


def test_a_grid_is_as_certain_as_its_least_certain_run() -> None:
    found = expected_time([cell(), cell(scheme="fp32"), cell(model="gat"), cell("citeseer")], 1, PACES)
    assert found is not None
    assert (found.seconds, found.told_by) == (10 + 20 + 40 + 80, OTHERS)


def test_a_dataset_of_other_options_is_another_dataset() -> None:
    paces = [pace(8.0), pace(1.0, "sbm(nodes=1000)", "gcn", "int8")]
    for dataset, seconds in (("sbm(nodes=1000)", 10), ("sbm(nodes=1000000)", 80)):
        found = expected_time([cell(dataset)], 1, paces)
        assert found is not None
        assert found.seconds == seconds
    assert found.told_by == OTHERS


def test_the_paces_of_one_upload_say_nothing_of_another() -> None:
    mine, yours = (f'file(upload="u{digit * 16}")' for digit in "ab")
    paces = [pace(8.0), pace(1.0, mine), pace(1.0, mine, "gcn"), pace(1.0, mine, "gcn", "int8")]
    found = expected_time([cell(yours)], 1, paces)
    assert found is not None
    assert (found.seconds, found.told_by) == (80, OTHERS)


def test_phases_before_and_after_training_count() -> None:
    found = expected_time([cell(scheme="sgquant(bits=2,tune=100)")], 1, [pace(1.0)])
    assert found is not None
    assert found.seconds == 110


def test_nothing_is_told_by_nothing() -> None:
    assert expected_time([cell()], 3, []) is None
