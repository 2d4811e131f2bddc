"""Schedules before and after a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.schedules import planned, replay_run, step_bits, suggest
from engine.controllers import CONTROLLERS
from engine.errors import InputError
from engine.scheme import parse_scheme
from engine.settings import Settings
from engine.spec import RunSpec

STILL = {
    "epoch": list(range(1, 21)),
    "train_loss": [1.0] * 20,
    "val_loss": [1.0] * 20,
    "loss_ratio": [None] * 9 + [1.0] * 11,
    "gradient_diversity": [0.5 if epoch % 3 == 0 else None for epoch in range(1, 21)],
    "validation_stall": [float(epoch) for epoch in range(20)],
}
"""Twenty epochs in which nothing was learned."""


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def spec(scheme: str, epochs: int = 20) -> RunSpec:
    return RunSpec.parse({"dataset": "karate", "model": "gcn", "scheme": scheme, "training": {"epochs": epochs}})


def test_a_clocked_schedule_is_planned_to_the_epoch(here: Settings) -> None:
    stages = planned(spec("sdq[int4,int8]"), here)
    assert [(stage.first_epoch, stage.last_epoch, stage.label, stage.bits, stage.certain) for stage in stages] == [
        (1, 10, "int4", 4.0, True),
        (11, 20, "int8", 8.0, True),
    ]


def test_a_signalled_schedule_is_planned_at_its_earliest(here: Settings) -> None:
    stages = planned(spec("adq[int4,int8]"), here)
    assert [(stage.first_epoch, stage.label, stage.certain) for stage in stages] == [
        (1, "int4", True),
        (12, "int5", False),
        (17, "int6", False),
    ]


def test_a_static_scheme_is_one_stage(here: Settings) -> None:
    (stage,) = planned(spec("msfp13"), here)
    assert (stage.first_epoch, stage.last_epoch, stage.bits, stage.about) == (1, 20, 5.5, "")


def test_formats_that_differ_by_site_are_named_and_weighed_by_elements(here: Settings) -> None:
    first = planned(spec("cpt[int4,int8](cycles=1)"), here)[0]
    assert first.about == "int4: weight, input, feature, aggregate; int8: gradient"
    assert 4.0 < first.bits < 8.0
    assert first.bits == step_bits(spec("cpt[int4,int8](cycles=1)"), here)["int4"]


def test_a_replay_has_its_switches_with_their_bits(here: Settings) -> None:
    found, drawn = replay_run("adq[int4, int8]", spec("int4"), STILL, 20, here)
    assert [(row["epoch"], row["label"], row["bits"]) for row in drawn.decisions] == [
        (1, "int4", 4.0),
        (12, "int5", 5.0),
        (17, "int6", 6.0),
    ]
    assert (drawn.scheme, drawn.exact_until, drawn.last) == ("adq[int4,int8]", 11, 20)
    assert found.note == (
        "exact up to the switch after epoch 11; from there on an estimate, on the losses of a run that trained with "
        "int4"
    )


def test_a_run_without_signals_is_refused(here: Settings) -> None:
    old = {name: [None] * 20 if name in ("loss_ratio", "gradient_diversity", "validation_stall") else values
           for name, values in STILL.items()}  # fmt: skip
    with pytest.raises(InputError) as refused:
        replay_run("adq[int4,int8]", spec("int4"), old, 20, here)
    assert str(refused.value) == (
        "this run logged no signals: it was trained by an older Bitfront, so nothing can be replayed"
    )


RAN = ["int4", "int8+dq", "msfp12", "fp32", "dq-int4", "int16", "int4:weight", "adq[int4,int8]"]


@pytest.mark.parametrize("controller", list(CONTROLLERS))
@pytest.mark.parametrize("ran", RAN)
def test_what_is_suggested_can_be_asked(controller: str, ran: str) -> None:
    texts = suggest(controller, ran), CONTROLLERS[controller].examples[0]
    found, example = (parse_scheme(text).schedule for text in texts)
    assert found is not None
    assert example is not None
    assert type(found.controller) is type(example.controller)


def test_a_run_without_epochs_is_refused(here: Settings) -> None:
    with pytest.raises(InputError) as refused:
        replay_run("adq[int4,int8]", spec("int4"), {"epoch": []}, 20, here)
    assert str(refused.value) == "this run has no epoch yet: ask again when it trains"


def test_a_schedule_that_the_architecture_does_not_take_is_refused(here: Settings) -> None:
    with pytest.raises(InputError) as refused:
        replay_run("sdq[int4,int8]:attention", spec("int4"), STILL, 20, here)
    assert str(refused.value) == (
        "the scheme 'sdq[int4,int8]:attention' does not quantize the site 'attention'; its sites are: "
        "input, weight, feature, aggregate, gradient"
    )


@pytest.mark.parametrize(
    ("ran", "text"),
    [
        ("int5", "adq[int5,int9]"),
        ("msfp12", "adq[msfp12,msfp16]"),
        ("int8+dq", "adq[int8,int12]+dq"),
        ("int4:weight,feature", "adq[int4,int8]:weight,feature"),
        ("adq[int3,int4](theta=0.95)", "adq[int3,int4](theta=0.95)"),
        ("int16", "adq[int4,int8]"),
    ],
)
def test_a_suggestion_begins_at_the_runs_own_format(ran: str, text: str) -> None:
    assert suggest("adq", ran) == text
