"""ADQ against losses worked by hand: the first decision after epoch 11, every fifth after, θ, the ceiling."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from engine.scheme import parse_scheme
from tests.engine.controllers.traces import switches

# Windows: 2–6 at 1.0, 7–11 at 0.95, 12–16 at 0.5, 17–21 at 0.5, 22–26 at 0.46.
LOSSES = [7.0, *[1.0] * 5, *[0.95] * 5, *[0.5] * 5, *[0.5] * 5, *[0.46] * 5, *[0.2] * 4]


def test_the_first_decision_follows_epoch_11_and_is_effective_in_12():
    # 0.95 > 0.9: raise at 12. 0.5/0.95 = 0.53: no. 0.5/0.5 = 1 > 0.9: raise at 22. 0.46/0.5 = 0.92: raise at 27.
    assert switches("adq[int4,int8]", epochs=30, train=LOSSES) == [(12, "int5"), (22, "int6"), (27, "int7")]


def test_the_first_loss_is_not_looked_at():
    assert switches("adq[int4,int8]", epochs=12, train=[1e-9, *LOSSES[1:12]]) == [(12, "int5")]


def test_it_stops_at_its_ceiling():
    assert switches("adq[int4,int5]", epochs=30, train=LOSSES) == [(12, "int5")]
    assert switches("adq[int4,int8]", epochs=61, train=[1.0] * 61)[-1] == (27, "int8")


def test_the_last_epoch_decides_nothing():
    assert switches("adq[int4,int8]", epochs=11, train=LOSSES) == []


@pytest.mark.parametrize(("theta", "raises"), [(0.9, True), (0.95, False), (0.949, True), (1.1, False)])
def test_the_ratio_must_be_above_theta(theta: float, raises: bool):
    found = switches(f"adq[int4,int8](theta={theta})", epochs=15, train=LOSSES)
    assert found == ([(12, "int5")] if raises else [])


def test_theta_is_the_tasks_own_unless_it_is_given():
    graphs = switches("adq[int4,int8]", epochs=30, train=LOSSES, plateau_ratio=0.95)
    assert graphs == [(22, "int5")]
    assert switches("adq[int4,int8](theta=0.9)", epochs=30, train=LOSSES, plateau_ratio=0.95)[0] == (12, "int5")


def test_the_codes_guard_fault_acts_on_the_kept_ratio_after_every_epoch():
    found = switches("adq[int4,int16](check_every_epoch=true)", epochs=30, train=LOSSES)
    # 0.95 holds from 11 to 15; 0.53 from 16 to 20; 1.0 from 21 to 25; 0.92 from 26 on.
    assert [epoch for epoch, _ in found] == [12, 13, 14, 15, 16, 22, 23, 24, 25, 26, 27, 28]
    assert found[-1] == (28, "int16")


def test_a_ladder_may_mix_families():
    found = switches("adq[msfp12 -> msfp13 -> int8 -> fp32]", epochs=40, train=[1.0] * 40)
    assert found == [(12, "msfp13"), (17, "int8"), (22, "fp32")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("adq", "the scheme 'adq' names no format: its list needs at least 2"),
        (
            "adq[int4]",
            "the scheme 'adq[int4]' names only int4: its list needs at least 2",
        ),
        (
            "adq[int4,int5,int6]",
            "the scheme 'adq[int4,int5,int6]' needs its two ends, such as adq[int4,int8], or a ladder written out, "
            "such as adq[int4 -> int5 -> int8]",
        ),
        ("adq[int8,int4]", "the scheme 'adq[int8,int4]' starts at int8, above its end int4: swap them"),
        (
            "adq[int4,msfp13]",
            "the scheme 'adq[int4,msfp13]': int4 and msfp13 are not widths of one family, so there is nothing to "
            "count from one to the other: write out the ladder, such as [int4 -> … -> msfp13]",
        ),
        (
            "adq[int4 -> int6 -> int7]",
            "the scheme 'adq[int4 -> int6 -> int7]' skips int5 between int4 and int6: its controller raises by one "
            "width at a time, so name every one",
        ),
        (
            "adq[int8 -> msfp12]",
            "the scheme 'adq[int8 -> msfp12]': a ladder goes up, and msfp12 is not wider than int8: name the formats "
            "from the narrowest to the widest, each once",
        ),
        (
            "adq[int4,int8](gamma=2)",
            "the scheme 'adq[int4,int8](gamma=2)' has no option 'gamma': its options are theta, check_every_epoch, "
            "range, estimator, p, momentum, keep, dq_percentile, granularity, message_gradient",
        ),
    ],
)
def test_wrong_ladders_are_refused(text: str, message: str):
    with pytest.raises(InputError) as error:
        parse_scheme(text)
    assert str(error.value) == message


def test_the_examples_ladder_goes_through_every_width():
    schedule = parse_scheme("adq[int4,int8]").schedule
    assert schedule is not None
    assert [step.label for step in schedule.ladder] == ["int4", "int5", "int6", "int7", "int8"]
