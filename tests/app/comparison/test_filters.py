"""Filters choose groups; they never change which runs of a group count."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import pytest

from app.comparison.filters import Filters, also_metrics, options_of
from tests.app.comparison.runs import BEGAN, run, table

RUNS = table(
    run("int8", 0, tags=["paper"], sweep="night"),
    run("int8", 1, state="failed", test=None, submitted_at=BEGAN + pd.Timedelta(days=2)),
    run("msfp13", 0, dataset="pubmed", model="gat", also='{"F1 (%)": 1.0}', sweeps=["later"]),
)


@pytest.mark.parametrize(
    ("asked", "schemes"),
    [
        ({}, ["int8", "int8", "msfp13"]),
        ({"dataset": ["pubmed"]}, ["msfp13"]),
        ({"model": ["gcn", "gat"]}, ["int8", "int8", "msfp13"]),
        ({"family": ["msfp"]}, ["msfp13"]),
        ({"tag": ["paper"]}, ["int8", "int8"]),
        ({"sweep": ["night"]}, ["int8", "int8"]),
        ({"sweep": ["later"]}, ["msfp13"]),  # another sweep's run that stands for its cell
        ({"state": ["failed"]}, ["int8", "int8"]),
        ({"text": "MSFP"}, ["msfp13"]),
        ({"text": "."}, []),
        ({"since": date(2026, 6, 2)}, ["int8", "int8"]),
        ({"until": date(2026, 6, 1)}, ["int8", "int8", "msfp13"]),
        ({"since": date(2026, 6, 1), "until": date(2026, 6, 1), "scheme": ["msfp13"]}, ["msfp13"]),
        ({"tag": ["paper"], "state": ["failed"]}, []),
    ],
)
def test_a_filter_chooses_whole_groups_with_a_run_that_fits(asked: dict[str, Any], schemes: list[str]) -> None:
    assert Filters(**asked).choose(RUNS)["scheme"].tolist() == schemes
    assert Filters(**asked).any == bool(asked)


def test_options_are_what_occurs() -> None:
    found = options_of(RUNS)
    assert found["dataset"] == ["cora", "pubmed"]
    assert (found["tag"], found["sweep"], found["family"]) == (["paper"], ["night", "later"], ["affine", "msfp"])
    assert also_metrics(RUNS) == ["F1 (%)"]
