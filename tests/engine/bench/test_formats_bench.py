"""The bench of the formats: a small run, and how its goals are judged."""

from __future__ import annotations

import sys

import pytest
import torch

from engine.bench import BENCHES
from engine.bench.formats import CASES, _judge
from engine.bench.plain import PLAIN, fused_affine
from engine.errors import InputError
from engine.formats import get_format


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peak memory is read from /proc")
def test_a_small_run_gives_every_column():
    bench = BENCHES["formats"]
    report = bench.run(cases=["int8"], sizes=[(300, 400)])
    assert [set(row) for row in report.rows] == [set(bench.columns)]
    row = report.rows[0]
    assert (row["size"], row["case"]) == ("300×400", "int8")
    assert all(row[key] > 0 for key in ("milliseconds", "copies", "plain_copies", "speedup", "torch_copies"))
    assert [goal.goal for goal in report.goals] == [
        "int8 at most 2.5 copies, 300×400",
        "int8 at least 3 × the plain formula, 300×400",
        "int8 peak extra memory at most 1.1 outputs, 300×400",
    ]
    assert len(report.notes) == 2


def row(case: str, copies: float, speedup: float = 5.0, memory: float = 1.0) -> dict:
    return {"size": "1×1", "case": case, "copies": copies, "speedup": speedup, "memory": memory}


def test_goals_are_judged_by_the_ratios():
    rows = [row("int8", 2.6, 2.9), row("int8 stochastic", 5.3), row("msfp13", 4.1), row("mxint8", 8.2, memory=1.2)]
    assert {goal.goal: (goal.value, goal.met) for goal in _judge(rows)} == {
        "int8 at most 2.5 copies, 1×1": ("2.6", False),
        "int8 at least 3 × the plain formula, 1×1": ("2.9", False),
        "int8 peak extra memory at most 1.1 outputs, 1×1": ("1.0", True),
        "int8 stochastic within 2 × int8, 1×1": ("2.04", False),
        "int8 stochastic peak extra memory at most 1.1 outputs, 1×1": ("1.0", True),
        "msfp13 at most 4 copies, 1×1": ("4.1", False),
        "msfp13 peak extra memory at most 1.1 outputs, 1×1": ("1.0", True),
        "mxint8 within 2 × msfp13, 1×1": ("2.0", True),
        "mxint8 peak extra memory at most 1.1 outputs, 1×1": ("1.2", False),
    }


def test_an_unknown_case_is_refused():
    with pytest.raises(InputError) as error:
        BENCHES["formats"].run(cases=["int99"])
    assert str(error.value) == f"unknown case 'int99' of the bench 'formats': allowed are {', '.join(CASES)}"


def test_every_case_has_its_plain_formula():
    assert set(PLAIN) == set(CASES)


@pytest.mark.parametrize("case", [case for case in CASES if "stochastic" not in case])
def test_the_plain_formulas_mean_the_same(case):
    # float32 formulas: a few codes differ by one, where a value lies at a boundary.
    x = torch.randn(64, 160, generator=torch.Generator().manual_seed(0))
    name, _, manner = case.partition(" ")
    out = get_format(name).fake_quantize(x, granularity="row" if manner else "tensor")
    plain = PLAIN[case](x)
    # log4's plain formula rounds the exponent, not the value: it agrees where both give the same power.
    share = 0.7 if case == "log4" else 0.999
    assert torch.isclose(out, plain, rtol=1e-5, atol=1e-6).double().mean() > share
    assert torch.isclose(fused_affine(x), get_format("int8").fake_quantize(x), rtol=1e-5).double().mean() > 0.999
