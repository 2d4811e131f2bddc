"""ADQ: active dynamic quantization, one more bit when the training loss stops falling [T].

After epochs 11, 16, 21, … the mean of the last 5 training losses is compared with the mean of the 5 before: above
θ times that, the next epoch trains one width up. ``adq[int4,int8]`` goes through every width from int4 to int8;
``adq[msfp12 -> msfp13 -> int8 -> fp32]`` along a ladder that is written out, and may mix families.
θ is the task's own (0.90 for nodes and links, 0.95 for graphs and PPI) unless it is given.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.controllers.entry import ControllerEntry
from engine.errors import InputError
from engine.grammar import Part
from engine.recipe_options import Options
from engine.schedule import (
    LOSS,
    PLATEAU,
    Controller,
    Course,
    Decision,
    Parameter,
    Schedule,
    Signals,
    Step,
    check_rising,
    check_unbroken,
    read_ladder,
    widths_between,
)

FIRST = 2 * PLATEAU + 1
"""The first epoch after which it decides; then every fifth."""
THETA = Parameter("theta", 0.90, 0.5, 1.2, 0.01, "raise when the loss ratio is above it")


@dataclass(frozen=True)
class LossPlateau(Controller):
    """``theta`` None: the task's. ``check_every_epoch``: the code's guard fault, which acts on a kept ratio."""

    signal = LOSS
    theta: float | None = None
    check_every_epoch: bool = False

    def may_decide(self, course: Course, epoch: int) -> bool:
        return not course.at_top and (self.check_every_epoch or self._is_due(epoch))

    def _is_due(self, epoch: int) -> bool:
        return epoch >= FIRST and (epoch - FIRST) % PLATEAU == 0

    def decide(self, course: Course, signals: Signals) -> Decision | None:
        due = self._is_due(signals.epoch)
        if due:
            course.memory["ratio"] = signals.loss_ratio
        ratio = course.memory.get("ratio")
        if course.at_top or ratio is None or not (due or self.check_every_epoch):
            return None
        theta = course.plateau_ratio if self.theta is None else self.theta
        if ratio <= theta:
            return None
        reason = (
            f"the loss has stopped falling: its last {PLATEAU} epochs average {ratio:.4f} of the {PLATEAU} before, "
            f"above θ = {theta:g}"
        )
        return Decision(course.step + 1, LOSS, reason, ratio, theta)


def read(part: Part, options: Options) -> Schedule:
    theta = options.number("theta", THETA.default, above=0.0) if "theta" in options else None
    return Schedule(tuple(map(Step.of, ladder(part))), LossPlateau(theta, options.flag("check_every_epoch", False)))


def ladder(part: Part):
    text = str(part)
    if len(part.steps) == 1 and len(part.steps[0]) == 2:
        low, high = read_ladder(part.steps[0], text)
        return widths_between(low, high, text)
    if any(len(step) != 1 for step in part.steps):
        raise InputError(
            f"the scheme {text!r} needs its two ends, such as {part.name}[int4,int8], or a ladder written out, "
            f"such as {part.name}[int4 -> int5 -> int8]"
        )
    formats = read_ladder([step[0] for step in part.steps], text, least=2)
    check_rising(formats, text)
    check_unbroken(formats, text)
    return formats


ENTRIES = [
    ControllerEntry(
        name="adq",
        summary="one more bit whenever the training loss stops falling (active dynamic quantization)",
        source="Bqain, thesis, Imperial College London, 2023",
        examples=(
            "adq[int4,int8]",
            "adq[msfp12,msfp14]",
            "adq[int4,int8](theta=0.95)+dq",
            "adq[msfp12 -> msfp13 -> int8 -> fp32]",
        ),
        options=("theta", "check_every_epoch"),
        read=read,
        parameters=(THETA,),
    )
]
