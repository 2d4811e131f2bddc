"""DSQ's four points, and its patience on validation losses worked by hand."""

from __future__ import annotations

import pytest

from engine.errors import InputError
from engine.scheme import parse_scheme
from tests.engine.controllers.traces import switches

THREE = "dsq[int2,int2,int2,int16 -> int4,int4,int4,int16 -> int16,int8,int8,int16](patience=3)"
LADDER = "dsq[int2,int2,int2,int16 -> int16,int4,int4,int16]"


def test_it_waits_for_patience_epochs_since_the_last_switch():
    # The least is at epoch 3: 3 epochs without a new one after epoch 6; then 3 epochs of the new formats.
    val = [1.0, 0.9, 0.8, 0.85, 0.84, 0.83, 0.82, 0.82, 0.82, 0.7, 0.7, 0.7]
    assert [epoch for epoch, _ in switches(THREE, epochs=12, val=val)] == [7, 10]


def test_a_new_least_loss_starts_the_count_anew():
    val = [1.0, 0.9, 0.95, 0.95, 0.8, 0.85, 0.85, 0.79, 0.8, 0.8, 0.8, 0.8]
    assert [epoch for epoch, _ in switches(THREE, epochs=12, val=val)] == [12]


def test_the_four_points():
    scheme = parse_scheme(LADDER)
    assert scheme.schedule is not None
    first, second = (scheme.at(step) for step in scheme.schedule.ladder)
    places = [
        ("input", "forward"), ("weight", "forward"), ("feature", "aggregate"), ("aggregate", "aggregate"),
        ("stash", "grad_weight"),
        ("input", "grad_weight"), ("weight", "grad_input"), ("gradient", "grad_input"), ("gradient", "grad_weight"),
        ("gradient", "grad_layer"),
    ]  # fmt: skip
    assert [first.format(*place, 0).name for place in places] == ["int2"] * 9 + ["int16"]
    assert [second.format(*place, 0).name for place in places] == ["int16"] * 4 + ["int4"] * 5 + ["int16"]
    assert first.format("gradient", "grad_aggregate", 0).name == "fp32"


def test_the_stash_has_a_range_a_row_and_is_rounded_stochastically():
    (rule,) = parse_scheme(LADDER).covering("stash", "grad_weight", 0)
    assert (rule.quantization.granularity, rule.quantization.rounding) == ("row", "stochastic")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "dsq[int2,int2,int2]",
            "the scheme 'dsq[int2,int2,int2]': a step has 3 formats, and needs four: forward operands, stash, backward "
            "operands, gradient between layers",
        ),
        (
            "dsq",
            "the scheme 'dsq' needs a ladder of four formats a step, such as "
            "dsq[int2,int2,int2,int16 -> int16,int4,int4,int16]",
        ),
        (
            "dsq[int4,int4,int4,int16 -> int8,int2,int4,int16]",
            "the scheme 'dsq[int4,int4,int4,int16 -> int8,int2,int4,int16]': precision is only raised, and its stash "
            "go from int4 down to int2",
        ),
        (
            "dsq[int4,int4,int4,int4 -> int4,int4,int4,int4]",
            "the scheme 'dsq[int4,int4,int4,int4 -> int4,int4,int4,int4]' names the same step twice in a row: leave "
            "one out",
        ),
    ],
)
def test_wrong_ladders_are_refused(text: str, message: str):
    with pytest.raises(InputError) as error:
        parse_scheme(text)
    assert str(error.value) == message
