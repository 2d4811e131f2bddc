"""Replay: exact where the run had the formats that the controller chooses, and labelled where it had not."""

from __future__ import annotations

import pytest

from engine.controllers.replay import parameters, replay, with_parameter
from engine.errors import InputError
from engine.events import History, PrecisionChanged
from engine.settings import Settings
from engine.spec import RunSpec
from engine.training import Training


def run_of(scheme: str, epochs: int = 30) -> RunSpec:
    return RunSpec.parse(
        {"dataset": "karate", "model": "gcn", "scheme": scheme, "training": {"epochs": epochs}, "device": "cpu"}
    )


def trained(scheme: str, settings: Settings, epochs: int = 30) -> tuple[dict, list[tuple[int, str]]]:
    """A real run's per-epoch columns, and its switches as (epoch, label)."""
    training = Training(run_of(scheme, epochs), settings)
    switches = [(event.epoch, event.label) for event in training if isinstance(event, PrecisionChanged)]
    return History.of(training.rows).columns, switches[1:]


@pytest.mark.parametrize(
    "scheme",
    [
        "adq[int3,int8](theta=0.6)",
        "muppet[int4,int8,int16](gamma=1,alpha=0.0)",
        "pfq[int4,int6,int8](epsilon=0.5)",
        "sdq[int4,int5,int8]",
        "cpt[int3,int8](cycles=3)",
        "dsq[int2,int2,int2,int4 -> int8,int8,int8,int16](patience=1)",
    ],
)
def test_a_runs_own_controller_is_replayed_exactly(scheme: str, settings: Settings):
    columns, switches = trained(scheme, settings)
    assert switches
    again = replay(scheme, run_of(scheme), columns, 30)
    assert [(switch.epoch, switch.label) for switch in again.switches] == switches
    assert again.exact_until == 30
    assert again.note == "exact: the run trained with the formats that this schedule chooses"


def test_a_static_run_is_exact_up_to_the_first_switch(settings: Settings):
    columns, _ = trained("int3", settings)
    _, switches = trained("adq[int3,int8](theta=0.6)", settings)
    again = replay("adq[int3,int8](theta=0.6)", run_of("int3"), columns, 30)
    # The first switch is the one that the real run makes; what follows is an estimate.
    assert (again.switches[0].epoch, again.switches[0].label) == switches[0]
    assert again.exact_until == switches[0][0] - 1
    assert again.note == (
        f"exact up to the switch after epoch {again.exact_until}; from there on an estimate, on the losses of a run "
        "that trained with int3"
    )


def test_another_threshold_parts_where_the_decisions_first_differ(settings: Settings):
    columns, switches = trained("adq[int3,int8](theta=0.6)", settings)
    eager = replay("adq[int3,int8](theta=0.01)", run_of("adq[int3,int8](theta=0.6)"), columns, 30)
    assert [switch.epoch for switch in eager.switches] == [12, 17, 22, 27]
    mine = {switch.epoch for switch in eager.switches}
    first_other = min(mine ^ {epoch for epoch, _ in switches}, default=31)
    assert eager.exact_until == min(first_other - 1, 30)


def test_other_formats_are_an_estimate_from_the_first_epoch_on(settings: Settings):
    columns, _ = trained("fp32", settings)
    again = replay("adq[int4,int8]", run_of("fp32"), columns, 30)
    assert again.exact_until == 0
    assert again.start == "int4"
    assert again.note == "an estimate: the run trained with fp32, otherwise than this schedule begins"


@pytest.mark.parametrize(
    "scheme",
    [
        "adq[int4,int8](range=percentile)",
        "adq[int4,int8](estimator=clipped)",
        "adq[int4,int8](granularity=row)",
        "adq[int4,int8]+dq",
        "adq[int4,int8]+sr",
        "adq[int4,int8]:weight",
    ],
)
def test_the_same_formats_with_other_ranges_or_protection_are_an_estimate(scheme: str, settings: Settings):
    columns, _ = trained("int4", settings, epochs=12)
    assert replay("adq[int4,int8]", run_of("int4"), columns, 12).exact_until > 0
    assert replay(scheme, run_of("int4"), columns, 12).exact_until == 0


def test_a_window_that_was_not_recorded_is_refused():
    with pytest.raises(InputError) as error:
        replay("muppet[int4,int8](r=5)", run_of("int4"), {"epoch": []}, 30)
    assert str(error.value) == (
        "the scheme 'muppet[int4,int8](r=5)' needs the gradients' diversity in windows of 5 epochs, and the run "
        "recorded windows of 3: set r=3"
    )


def test_a_static_scheme_is_refused():
    with pytest.raises(InputError) as error:
        replay("int8", run_of("int8"), {"epoch": []}, 30)
    assert str(error.value) == (
        "the scheme 'int8' has no schedule to replay: give one of adq, cpt, dsq, muppet, pfq, sdq"
    )


def test_the_numbers_that_may_be_turned():
    (theta,) = parameters("adq[int4,int8](theta=0.95)+dq")
    assert (theta.name, theta.default, theta.least, theta.most) == ("theta", 0.95, 0.5, 1.2)
    assert [each.name for each in parameters("muppet[int4,int8]")] == ["gamma", "alpha", "beta"]
    assert parameters("int8") == parameters("sdq[int4,int8]") == ()


def test_a_number_is_turned_in_the_text():
    assert with_parameter("adq[int4,int8]+dq", "theta", 0.8) == "adq[int4,int8](theta=0.8)+dq"
    assert with_parameter("muppet[int4,int8](gamma=3,r=2)", "gamma", 4.0) == "muppet[int4,int8](gamma=4,r=2)"
    with pytest.raises(InputError) as error:
        with_parameter("int8", "theta", 0.8)
    assert str(error.value) == "the scheme 'int8' has no number 'theta' to turn"
