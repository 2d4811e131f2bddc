"""DSQ: dynamic stashing quantization (Yang et al., 2023): formats at four points, raised when validation stalls.

A step of the ladder names them in this order:

    forward operands          what enters the forward products and aggregates
    stash                     the activation that is kept for the backward pass: a range a row, stochastic rounding
    backward operands         what enters the backward products (the stash is quantized to it again)
    gradient between layers   what a layer hands to the one before it

``dsq[int2,int2,int2,int16 -> int16,int4,int4,int16]`` goes to its next step when the validation loss has had no new
minimum for ``patience`` epochs since the last switch. The step of the paper's own ladder is as we recall it; its
plateau rule was not at hand, so ``patience`` is our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from engine.controllers.entry import ControllerEntry
from engine.errors import InputError
from engine.formats import Format
from engine.grammar import Part
from engine.recipe_options import Options
from engine.schedule import (
    VALIDATION,
    Assignment,
    Controller,
    Course,
    Decision,
    Parameter,
    Schedule,
    Signals,
    Step,
    read_ladder,
)
from engine.scheme import Quantization, Rule

POINTS = ("forward operands", "stash", "backward operands", "gradient between layers")
FORWARD = ("forward", "aggregate")
BACKWARD = ("grad_input", "grad_weight")
BETWEEN = ("grad_layer",)
PATIENCE = Parameter("patience", 10, 1, 100, 1, "epochs without a new least validation loss")


@dataclass(frozen=True)
class ValidationPlateau(Controller):
    signal = VALIDATION
    patience: int = int(PATIENCE.default)

    def decide(self, course: Course, signals: Signals) -> Decision | None:
        if signals.validation_stall is None or course.at_top:
            return None
        waited = min(signals.validation_stall, signals.epoch - course.since + 1)
        if waited < self.patience:
            return None
        reason = f"no new least validation loss for {waited:g} epochs since the last switch, patience {self.patience}"
        return Decision(course.step + 1, VALIDATION, reason, float(waited), float(self.patience))


def read(part: Part, options: Options) -> Schedule:
    text, found = str(part), []
    for elements in part.steps:
        if len(elements) != len(POINTS):
            raise InputError(
                f"the scheme {text!r}: a step has {len(elements)} formats, and needs four: {', '.join(POINTS)}"
            )
        found.append(read_ladder(elements, text))
    if not found:
        raise InputError(
            f"the scheme {text!r} needs a ladder of four formats a step, such as "
            "dsq[int2,int2,int2,int16 -> int16,int4,int4,int16]"
        )
    for low, high in pairwise(found):
        _check(low, high, text)
    patience = options.whole("patience", int(PATIENCE.default), 1, 100_000)
    return Schedule(tuple(map(_step, found)), ValidationPlateau(patience))


def _check(low: Sequence[Format], high: Sequence[Format], text: str) -> None:
    for point, before, after in zip(POINTS, low, high, strict=True):
        if after.bits < before.bits:
            raise InputError(
                f"the scheme {text!r}: precision is only raised, and its {point} go "
                f"from {before.name} down to {after.name}"
            )
    if list(low) == list(high):
        raise InputError(f"the scheme {text!r} names the same step twice in a row: leave one out")


def _step(formats: Sequence[Format]) -> Step:
    forward, stash, backward, between = formats
    label = ",".join(format.name for format in formats)
    return Step(
        label,
        (
            Assignment(stash, ("stash",)),
            Assignment(forward, products=FORWARD),
            Assignment(backward, products=BACKWARD),
            Assignment(between, products=BETWEEN),
        ),
    )


def rules(quantization: Quantization, message_gradient: bool) -> Sequence[Rule]:
    """The sites of quantized training by product, and the two points that only this scheme has."""
    from engine.schemes.uniform import SITES

    stash = Rule("stash", replace(quantization, granularity="row", rounding="stochastic"), ("grad_weight",))
    messages = [Rule("gradient", quantization, ("grad_aggregate",))] if message_gradient else []
    return [
        *(Rule(site, quantization, FORWARD) for site in SITES),
        *(Rule(site, quantization, BACKWARD) for site in ("weight", "input", "gradient")),
        *messages,
        Rule("gradient", quantization, BETWEEN),
        stash,
    ]


ENTRIES = [
    ControllerEntry(
        name="dsq",
        summary="formats of forward, stash, backward and the gradient between layers, raised when validation stalls",
        source="Yang et al., Dynamic Stashing Quantization, EMNLP Findings 2023, arXiv 2303.05295",
        examples=(
            "dsq[int2,int2,int2,int16 -> int16,int4,int4,int16]",
            "dsq[int4,int4,int4,int16 -> int8,int8,int8,int16](patience=20)",
        ),
        options=("patience",),
        read=read,
        parameters=(PATIENCE,),
        rules=rules,
    )
]
