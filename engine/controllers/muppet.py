"""MuPPET: precision follows the diversity of the gradients (Rajagopal et al., ICML 2020).

At the end of each window of ``r`` epochs, Δ = mean over the parameters of Σ‖∇‖² / ‖Σ∇‖², ∇ the gradients of the
epochs' last batches. p is the largest Δ since the last switch, this one included, over this Δ. p above
1 + α·exp(−β·epoch), epochs counted from 0, is a violation; ``gamma`` of them, not necessarily in a row, raise the
precision and are forgotten together with the largest Δ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from engine.controllers.entry import ControllerEntry
from engine.grammar import Part
from engine.recipe_options import Options
from engine.schedule import (
    DIVERSITY,
    WINDOW,
    Controller,
    Course,
    Decision,
    Parameter,
    Schedule,
    Signals,
    Step,
    check_rising,
    read_ladder,
)

GAMMA = Parameter("gamma", 2, 1, 20, 1, "violations that raise the precision")
ALPHA = Parameter("alpha", 1.5, 0.0, 5.0, 0.1, "height of the threshold at epoch 0, above 1")
BETA = Parameter("beta", 0.1, 0.0, 1.0, 0.01, "how fast the threshold falls to 1, per epoch")


@dataclass(frozen=True)
class GradientDiversity(Controller):
    signal = DIVERSITY
    r: int = WINDOW
    gamma: int = int(GAMMA.default)
    alpha: float = ALPHA.default
    beta: float = BETA.default

    @property
    def window(self) -> int:
        return self.r

    def may_decide(self, course: Course, epoch: int) -> bool:
        return not course.at_top and epoch % self.r == 0

    def decide(self, course: Course, signals: Signals) -> Decision | None:
        diversity, memory = signals.gradient_diversity, course.memory
        if diversity is None or diversity <= 0 or course.at_top:
            return None
        memory["largest"] = max(memory.get("largest", diversity), diversity)
        ratio = memory["largest"] / diversity
        threshold = 1 + self.alpha * math.exp(-self.beta * (signals.epoch - 1))
        if ratio <= threshold:
            return None
        memory["violations"] = memory.get("violations", 0) + 1
        if memory["violations"] < self.gamma:
            return None
        memory.clear()
        reason = (
            f"violation {self.gamma} of {self.gamma}: the gradients' diversity has fallen to 1/{ratio:.4g} of its "
            f"largest since the last switch, threshold {threshold:.4g}"
        )
        return Decision(course.step + 1, DIVERSITY, reason, ratio, threshold)


def read(part: Part, options: Options) -> Schedule:
    formats = read_ladder([element for step in part.steps for element in step], str(part), least=2)
    check_rising(formats, str(part))
    controller = GradientDiversity(
        r=options.whole("r", WINDOW, 1, 1000),
        gamma=options.whole("gamma", int(GAMMA.default), 1, 1000),
        alpha=options.number("alpha", ALPHA.default),
        beta=options.number("beta", BETA.default),
    )
    return Schedule(tuple(map(Step.of, formats)), controller)


ENTRIES = [
    ControllerEntry(
        name="muppet",
        summary="the next format when the diversity of the gradients has fallen often enough (MuPPET)",
        source="Rajagopal et al., MuPPET, ICML 2020, arXiv 2006.09049",
        examples=("muppet[int8,int12,int14,int16,fp32]", "muppet[int4,int6,int8](gamma=3)"),
        options=("r", "gamma", "alpha", "beta"),
        read=read,
        parameters=(GAMMA, ALPHA, BETA),
    )
]
