"""SDQ: static dynamic quantization, a list of formats whose phases are equally long [T].

Epoch t = 1…T trains with element ⌊n(t−1)/T⌋ of the n. The thesis' code switches otherwise
(``thesis_boundaries``): element min(n−1, ⌊(t−1)/⌈T/n⌉⌋), so that the first new epochs of 150 are 39, 77 and 115
rather than 39, 76 and 114. ``starts=40-90``: the first epochs of the second, the third, … element, as you say.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from engine.controllers.entry import ControllerEntry
from engine.errors import InputError
from engine.grammar import Part
from engine.recipe_options import Options
from engine.schedule import CLOCK, Controller, Course, Decision, Schedule, Signals, Step, read_ladder


@dataclass(frozen=True)
class Phases(Controller):
    """Equal phases, or those that begin at ``starts``."""

    signal = CLOCK
    thesis_boundaries: bool = False
    starts: tuple[int, ...] = ()

    def element(self, epoch: int, steps: int, epochs: int) -> int:
        """The step of an epoch (from 1)."""
        if self.starts:
            return bisect_right(self.starts, epoch)
        if self.thesis_boundaries:
            return min(steps - 1, (epoch - 1) // -(-epochs // steps))
        return steps * (epoch - 1) // epochs

    def decide(self, course: Course, signals: Signals) -> Decision | None:
        following = signals.epoch + 1
        step = self.element(following, course.steps, course.epochs)
        if step == course.step:
            return None
        label = course.schedule.ladder[step].label
        return Decision(
            step, CLOCK, f"epoch {following} begins phase {step + 1} of {course.steps}: {label}", float(following)
        )


def read(part: Part, options: Options) -> Schedule:
    elements = [element for step in part.steps for element in step]
    formats = read_ladder(elements, str(part))
    starts = _starts(options, len(formats)) if "starts" in options else ()
    thesis = options.flag("thesis_boundaries", False)
    if thesis and starts:
        raise InputError(
            f"the scheme {str(part)!r}: starts and thesis_boundaries both say where phases begin: give one"
        )
    return Schedule(tuple(map(Step.of, formats)), Phases(thesis, starts))


def _starts(options: Options, formats: int) -> tuple[int, ...]:
    text = str(options.value("starts"))
    words = text.split("-")
    starts = tuple(int(word) for word in words if word.isdecimal())
    rising = all(low < high for low, high in pairwise((1, *starts)))
    if len(starts) != len(words) or len(starts) != formats - 1 or not rising:
        raise InputError(
            f"the scheme {options.text!r}: starts are the first epochs of the {formats - 1} formats after the first, "
            f"rising from 2 up and joined by '-', not {text}"
        )
    return starts


ENTRIES = [
    ControllerEntry(
        name="sdq",
        summary="a list of formats, each for an equal share of the epochs (static dynamic quantization)",
        source="Bqain, thesis, Imperial College London, 2023",
        examples=(
            "sdq[int4,int4,int6,int8]",
            "sdq[msfp12,msfp12,msfp13,msfp15]",
            "sdq[int4,int8](thesis_boundaries=true)",
        ),
        options=("thesis_boundaries", "starts"),
        read=read,
    )
]
