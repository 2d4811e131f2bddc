"""What a sweep's tables say: a paper's figures and families of a conclusion are checked as the file is read."""

from __future__ import annotations

from typing import Any

import pytest

from engine.errors import InputError
from engine.sweep import expand
from engine.sweep_report import Family

PUBLISHED = {
    "dataset": "cora",
    "model": "gcn",
    "scheme": "fp32",
    "value": 1,
    "source": "a paper",
    "provenance": "given",
}
TABLE: dict[str, Any] = {"spec": {"dataset": "cora", "model": "gcn", "scheme": ["fp32", "int8"]}, "baseline": "fp32"}


def test_a_family_holds_what_it_names_however_that_is_written() -> None:
    family = Family.model_validate({"name": "x", "schemes": ["int4 : weight", {"text": "msfp{b}", "b": [12]}]})
    assert [family.holds(scheme) for scheme in ("int4:weight", "msfp12", "int4")] == [True, True, False]
    assert Family(name="x", starts=["sdq"]).holds("sdq[int4,int8]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"published": [{**PUBLISHED, "figure": "feature_saving", "also": "F1"}]},
            "a published figure is of one thing, not of also and figure: leave all but one out",
        ),
        (
            {"published": [{**PUBLISHED, "also": "F1", "selection": "last"}]},
            "selection = 'last' goes with the task's metric alone: leave it or also out",
        ),
        (
            {"conclusion": {"within": 1, "families": [{"name": "x"}]}},
            "the family 'x' is told by schemes or by starts: give one of them",
        ),
        (
            {"conclusion": {"within": 1, "families": [{"name": "x", "starts": ["int"], "memory": 4.0}]}},
            "the family 'x' has published densities: give their source and provenance",
        ),
        (
            {"conclusion": {"within": 1, "families": [{"name": "x", "starts": ["sdq"]}]}},
            "the family 'x' of the conclusion has no scheme of this sweep",
        ),
        (
            {"conclusion": {"within": 1, "families": [{"name": "x", "starts": ["int"]}]}, "baseline": None},
            "a [conclusion] says how far schemes are from the baseline: give baseline = the scheme",
        ),
        ({"conclusion": {"within": 1, "families": [{"name": "x", "schemes": ["int99"]}]}}, "int99: the bits of an"),
        ({"published": [{**PUBLISHED, "figure": "saving"}]}, "unknown figure 'saving'"),
        ({"curves": ["loss"]}, "curves.0 = 'loss' is not allowed: it should be 'train_loss', 'val_loss'"),
    ],
)
def test_slips_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        expand({**TABLE, **change})
    assert str(caught.value).startswith(message)
