"""PFQ: progressive fractional quantization, the next stage when the loss stands still (Fu et al., NeurIPS 2020).

The last 5 epochs' losses, scaled by the mean loss of the first 10 (of fewer while there are fewer): where all lie
within ε of the newest, the next stage begins, ε becomes α·ε, and 5 losses are collected anew. ε = 0.05 and α = 0.3
are as we recall the authors' code.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from engine.controllers.entry import ControllerEntry
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
    read_ladder,
)

SCALE = 10
"""The first epochs whose mean loss is the unit."""
EPSILON = Parameter("epsilon", 0.05, 0.001, 0.5, 0.001, "how near the last losses lie, in units of the first ones")
ALPHA = Parameter("alpha", 0.3, 0.05, 1.0, 0.05, "what ε is multiplied by at each stage")


@dataclass(frozen=True)
class StandingLoss(Controller):
    signal = LOSS
    epsilon: float = EPSILON.default
    alpha: float = ALPHA.default

    def may_decide(self, course: Course, epoch: int) -> bool:
        return not course.at_top

    def decide(self, course: Course, signals: Signals) -> Decision | None:
        loss, memory = signals.train_loss, course.memory
        if loss is None:
            return None
        first, last = memory.setdefault("first", []), memory.setdefault("last", [])
        if len(first) < SCALE:
            first.append(loss)
        last.append(loss)
        del last[:-PLATEAU]
        unit = fmean(first)
        if course.at_top or len(last) < PLATEAU or unit <= 0:
            return None
        spread = max(abs(each - loss) for each in last) / unit
        epsilon = self.epsilon * self.alpha**course.step
        if spread > epsilon:
            return None
        last.clear()
        reason = f"the last {PLATEAU} losses lie within {spread:.4g} of the newest, ε = {epsilon:.4g}"
        return Decision(course.step + 1, LOSS, reason, spread, epsilon)


def read(part: Part, options: Options) -> Schedule:
    formats = read_ladder([element for step in part.steps for element in step], str(part), least=2)
    check_rising(formats, str(part))
    controller = StandingLoss(
        options.number("epsilon", EPSILON.default, above=0.0), options.number("alpha", ALPHA.default, above=0.0)
    )
    return Schedule(tuple(map(Step.of, formats)), controller)


ENTRIES = [
    ControllerEntry(
        name="pfq",
        summary="the next format when the last losses lie close together (progressive fractional quantization)",
        source="Fu et al., FracTrain, NeurIPS 2020, arXiv 2012.13113",
        examples=("pfq[int3,int4,int6,int8]", "pfq[int4,int8](epsilon=0.1)"),
        options=("epsilon", "alpha"),
        read=read,
        parameters=(EPSILON, ALPHA),
    )
]
