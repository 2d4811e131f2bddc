"""MuPPET's ratio, threshold and patience on diversities worked by hand."""

from __future__ import annotations

import math

import pytest

from engine.errors import InputError
from engine.schedule import Signals
from engine.scheme import parse_scheme
from tests.engine.controllers.traces import switches

LADDER = "muppet[int8,int12,int14,int16,fp32]"
# Thresholds 1 + 1.5·exp(−0.1·(epoch − 1)): epoch 6 1.910, 9 1.674, 12 1.499, 15 1.370, 18 1.274, 21 1.203, 24 1.150.
TRACE = {3: 10.0, 6: 10.0, 9: 2.0, 12: 8.0, 15: 5.0, 18: 4.0, 21: 3.5, 24: 3.0, 27: 3.0, 30: 1.0}


def test_two_violations_not_in_a_row_raise_the_precision():
    # Epoch 9: 10/2 = 5 > 1.674. Epoch 12: 10/8 = 1.25 < 1.499. Epoch 15: 10/5 = 2 > 1.370: the second.
    # Then anew: 18: 4/4. 21: 4/3.5 = 1.143 < 1.203. 24: 4/3 = 1.333 > 1.150. 27: 4/3 > 1.111: the second.
    assert switches(LADDER, epochs=31, diversity=TRACE) == [(16, "int12"), (28, "int14")]


def test_the_largest_is_forgotten_with_the_count():
    assert switches(LADDER + "(gamma=1)", epochs=31, diversity=TRACE) == [
        (10, "int12"),  # 10/2
        (16, "int14"),  # since 9: 8, 5: 8/5 = 1.6 > 1.370
        (25, "int16"),  # since 15: 4, 3.5, 3: 4/3 > 1.150
        (31, "fp32"),  # since 24: 3, 1
    ]


def test_patience():
    # 9, 15 and 18 (10/4); then 24 (3.5/3 = 1.167 > 1.150), 27 and 30.
    assert switches(LADDER + "(gamma=3)", epochs=31, diversity=TRACE) == [(19, "int12"), (31, "int14")]


def test_the_decision_tells_the_ratio_and_its_threshold():
    schedule = parse_scheme(LADDER + "(gamma=1)").schedule
    assert schedule is not None
    course = schedule.begin(100, 0.9)
    assert course.after(Signals(3, gradient_diversity=6.0)) is None
    decision = course.after(Signals(6, gradient_diversity=2.0))
    assert decision is not None
    assert (decision.value, decision.signal) == (3.0, "gradient diversity")
    assert decision.threshold == pytest.approx(1 + 1.5 * math.exp(-0.5))


def test_its_window_is_the_runs():
    schedule = parse_scheme("muppet[int4,int8](r=5)").schedule
    assert schedule is not None
    assert schedule.controller.window == 5


def test_a_ladder_that_falls_is_refused():
    with pytest.raises(InputError) as error:
        parse_scheme("muppet[int8,int4]")
    assert str(error.value) == (
        "the scheme 'muppet[int8,int4]': a ladder goes up, and int4 is not wider than int8: name the formats from the "
        "narrowest to the widest, each once"
    )
