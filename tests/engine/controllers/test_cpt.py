"""CPT's cycles worked by hand, its profiles, and the gradient that keeps its bits."""

from __future__ import annotations

import pytest

from engine.controllers.cpt import PROFILES
from engine.scheme import parse_scheme


def bits(scheme: str, epochs: int) -> list[int]:
    """The bits of each epoch."""
    schedule = parse_scheme(scheme).schedule
    assert schedule is not None
    controller, steps = schedule.controller, len(schedule.ladder)
    return [int(schedule.ladder[controller.element(t, steps, epochs)].label[3:]) for t in range(1, epochs + 1)]  # pyright: ignore[reportAttributeAccessIssue]


def test_one_cosine_cycle_of_eight_epochs():
    # 3 + 2.5·(1 − cos(π·t/8)): 3, 3.19, 3.73, 4.54, 5.5, 6.46, 7.27, 7.81.
    assert bits("cpt[int3,int8](cycles=1)", 8) == [3, 3, 4, 5, 6, 6, 7, 8]


def test_cycles_repeat():
    assert bits("cpt[int3,int8](cycles=4)", 32) == [3, 3, 4, 5, 6, 6, 7, 8] * 4


def test_linear_and_exponential_profiles():
    # z = t/4 of 2 + 4·f: linear 2, 3, 4, 5; exponential 1 − exp(−4z): 0, 0.632, 0.865, 0.950.
    assert bits("cpt[int2,int6](cycles=1,profile=linear)", 4) == [2, 3, 4, 5]
    assert bits("cpt[int2,int6](cycles=1,profile=exponential)", 4) == [2, 5, 5, 6]
    # 1 − w/(0.1 + 0.9w), w = 1, 3/4, 1/2, 1/4: 0, 0.032, 0.091, 0.231.
    assert bits("cpt[int2,int6](cycles=1,profile=reverse-exponential)", 4) == [2, 2, 2, 3]


def test_decay_falls():
    assert bits("cpt[int2,int6](cycles=1,profile=linear,direction=decay)", 4) == [6, 5, 4, 3]


def test_every_second_triangle_goes_back():
    up_and_down = "cpt[int2,int6](cycles=2,profile=linear,pattern=triangular)"
    assert bits(up_and_down, 8) == [2, 3, 4, 5, 6, 5, 4, 3]
    # The exponential mirrored in time, and upside down: f(1 − z) = 0.982, 0.950, 0.865, 0.632; 1 − f(z) = 1, 0.368, …
    curve = "cpt[int2,int6](cycles=2,profile=exponential,pattern=triangular"
    assert bits(curve + ")", 8) == [2, 5, 5, 6, 6, 6, 5, 5]
    assert bits(curve + ",reflection=vertical)", 8) == [2, 5, 5, 6, 6, 3, 3, 2]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_starts_at_0_and_rises_towards_1(profile: str):
    heights = [PROFILES[profile](k / 100) for k in range(101)]
    assert heights[0] == 0
    assert heights == sorted(heights)
    assert heights[-1] == pytest.approx(1, abs=0.02)


def test_gradients_keep_the_upper_ends_bits():
    scheme = parse_scheme("cpt[int3,int8](cycles=8)")
    assert scheme.schedule is not None
    assert scheme.format("weight", "forward", 0).name == "int3"
    for step in scheme.schedule.ladder:
        assert scheme.at(step).format("gradient", "grad_input", 0).name == "int8"
    other = parse_scheme("cpt[int3,int8](gradient=int6)")
    assert other.format("gradient", "grad_weight", 0).name == "int6"
