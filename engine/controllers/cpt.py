"""CPT: cyclic precision training (Fu et al., ICLR 2021), with the profiles of Wolfe & Kyrillidis, 2024.

bits = round(b_min + (b_max − b_min)·f(z)) where z = (t mod τ)/τ, t counted from 0, τ = T/cycles, and f rises from
0 to 1 over a cycle:

    cosine                ½(1 − cos πz)                [CPT]
    linear                z
    exponential           1 − exp(−4z)
    reverse-exponential   1 − w/(0.1 + 0.9w), w = 1 − z

``direction=decay`` falls instead, by 1 − f(z). ``pattern=triangular``: every second cycle goes back, by f(1 − z) or,
with ``reflection=vertical``, by 1 − f(z). Gradients stay at ``gradient`` bits, the upper end's unless it is given.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from engine.controllers.entry import ControllerEntry
from engine.errors import InputError
from engine.formats import get_format
from engine.grammar import Part
from engine.recipe_options import Options
from engine.schedule import (
    CLOCK,
    Assignment,
    Controller,
    Course,
    Decision,
    Parameter,
    Schedule,
    Signals,
    Step,
    read_ladder,
    widths_between,
)
from engine.scheme import SITES

PROFILES: dict[str, Callable[[float], float]] = {
    "cosine": lambda z: 0.5 * (1 - math.cos(math.pi * z)),
    "linear": lambda z: z,
    "exponential": lambda z: 1 - math.exp(-4 * z),
    "reverse-exponential": lambda z: 1 - (1 - z) / (0.1 + 0.9 * (1 - z)),
}
CYCLES = Parameter("cycles", 8, 1, 64, 1, "cycles over the run")


@dataclass(frozen=True)
class Cycles(Controller):
    signal = CLOCK
    low: int = 0
    """The number of the lower end's bits (int3: 3)."""
    cycles: int = int(CYCLES.default)
    profile: str = "cosine"
    direction: str = "growth"
    pattern: str = "repeated"
    reflection: str = "horizontal"

    def element(self, epoch: int, steps: int, epochs: int) -> int:
        """The step of an epoch (from 1); bits half-way are rounded to the even number, as by numpy's rint."""
        done = Fraction((epoch - 1) * self.cycles, epochs)
        cycle, z = divmod(done, 1)
        f, back = PROFILES[self.profile], self.pattern == "triangular" and cycle % 2 == 1
        z = float(z)
        if self.direction == "growth":
            height = f(z) if not back else f(1 - z) if self.reflection == "horizontal" else 1 - f(z)
        else:
            height = 1 - f(z) if not back else 1 - f(1 - z) if self.reflection == "horizontal" else f(z)
        # cos's last digits must not decide between two widths.
        return round(round(self.low + (steps - 1) * height, 9)) - self.low

    def first(self, steps: int) -> int:
        return 0 if self.direction == "growth" else steps - 1

    def decide(self, course: Course, signals: Signals) -> Decision | None:
        following = signals.epoch + 1
        step = self.element(following, course.steps, course.epochs)
        if step == course.step:
            return None
        cycle = (following - 1) * self.cycles // course.epochs + 1
        label = course.schedule.ladder[step].label
        return Decision(step, CLOCK, f"epoch {following}, cycle {cycle} of {self.cycles}: {label}", float(following))


def read(part: Part, options: Options) -> Schedule:
    text = str(part)
    if len(part.steps) != 1 or len(part.steps[0]) != 2:
        raise InputError(f"the scheme {text!r} needs its two ends, such as {part.name}[int3,int8]")
    low, high = read_ladder(part.steps[0], text)
    formats = widths_between(low, high, text)
    gradient = get_format(options.text_of("gradient", high.name))
    others = tuple(site for site in SITES if site != "gradient")
    ladder = [
        Step(format.name, (Assignment(format, others), Assignment(gradient, ("gradient",)))) for format in formats
    ]
    controller = Cycles(
        int(re.sub(r"\D*(\d+).*", r"\1", low.name)),
        options.whole("cycles", int(CYCLES.default), 1, 10_000),
        options.choice("profile", "cosine", list(PROFILES)),
        options.choice("direction", "growth", ("growth", "decay")),
        options.choice("pattern", "repeated", ("repeated", "triangular")),
        options.choice("reflection", "horizontal", ("horizontal", "vertical")),
    )
    return Schedule(tuple(ladder), controller)


ENTRIES = [
    ControllerEntry(
        name="cpt",
        summary="bits that go up and down in cycles; gradients keep theirs (cyclic precision training)",
        source="Fu et al., CPT, ICLR 2021, arXiv 2101.09868; Wolfe & Kyrillidis, 2024, arXiv 2403.02243",
        examples=(
            "cpt[int3,int8](cycles=8)",
            "cpt[int4,int8](profile=linear,pattern=triangular)",
            "cpt[int4,int8](direction=decay,profile=exponential)",
        ),
        options=("cycles", "profile", "direction", "pattern", "reflection", "gradient"),
        read=read,
        parameters=(CYCLES,),
    )
]
