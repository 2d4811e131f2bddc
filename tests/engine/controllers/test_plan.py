"""A schedule before its run."""

from __future__ import annotations

from itertools import pairwise

import pytest

from engine.controllers import CONTROLLERS
from engine.controllers.plan import plan
from engine.grammar import parse
from engine.scheme import parse_scheme


def stages(scheme: str, epochs: int) -> list[tuple[int, int, str, bool]]:
    found = plan(parse_scheme(scheme), epochs)
    return [(stage.first_epoch, stage.last_epoch, stage.label, stage.certain) for stage in found]


def test_the_clock_is_known():
    assert stages("sdq[int4,int8]", 10) == [(1, 5, "int4", True), (6, 10, "int8", True)]


def test_signals_are_told_at_the_earliest():
    assert stages("adq[int4,int6]", 30) == [
        (1, 11, "int4", True),
        (12, 16, "int5", False),
        (17, 30, "int6", False),
    ]
    # Windows of 3, and two violations: the first window only sets the largest.
    assert [stage[:3] for stage in stages("muppet[int8,int12,int16]", 30)] == [
        (1, 9, "int8"),
        (10, 18, "int12"),
        (19, 30, "int16"),
    ]
    assert [stage[0] for stage in stages("pfq[int4,int6,int8]", 30)] == [1, 6, 11]
    assert [stage[0] for stage in stages("dsq[int4,int4,int4,int4 -> int8,int8,int8,int8](patience=7)", 30)] == [1, 9]


def test_a_static_scheme_is_one_stage():
    assert stages("int8", 30) == [(1, 30, "int8", True)]
    assert stages("fp32", 30) == [(1, 30, "fp32", True)]
    assert plan(parse_scheme("fp32"), 30)[0].bits == 32


def test_bits_and_formats_of_a_stage():
    first, second = plan(parse_scheme("sdq[int4,int8]:weight"), 10)
    assert (first.bits, second.bits) == (4, 8)
    assert [(site, products, layer, format.name) for site, products, layer, format in second.formats] == [
        ("weight", None, None, "int8")
    ]


@pytest.mark.parametrize("text", [text for entry in CONTROLLERS.values() for text in entry.examples])
def test_every_example_begins_at_epoch_1_and_covers_the_run(text: str):
    assert str(parse_scheme(text)) == str(parse(text, "scheme"))
    found = plan(parse_scheme(text), 150)
    assert found[0].first_epoch == 1
    assert found[-1].last_epoch == 150
    assert all(a.last_epoch + 1 == b.first_epoch for a, b in pairwise(found))
